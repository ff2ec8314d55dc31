//! The allocator against a plain one that does everything as it is written down: after any
//! sequence of calls, both give the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod call;
mod pair;
mod plain;

use muster_allocator::{Options, SorterKind};
use proptest::prelude::*;

use crate::call::{Call, call};
use crate::pair::Pair;

fn sorter() -> impl Strategy<Value = SorterKind> {
    prop_oneof![3 => Just(SorterKind::Drf), 1 => Just(SorterKind::Random)]
}

fn options() -> impl Strategy<Value = Options> {
    (any::<u64>(), sorter(), sorter(), any::<bool>(), 0..3_u8).prop_map(
        |(seed, role_sorter, framework_sorter, exclude, minima)| {
            let mut options = Options { seed, role_sorter, framework_sorter, ..Options::default() };
            options.region = Some("near".to_owned());
            if exclude {
                options.excluded.insert("gpus".into());
            }
            match minima {
                0 => options.min_allocatable.clear(),
                1 => options.min_allocatable.truncate(1),
                _ => {}
            }
            options
        },
    )
}

fn check(options: Options, calls: Vec<Call>) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(options);
    for (index, call) in calls.into_iter().enumerate() {
        pair.call(&call).map_err(|difference| {
            TestCaseError::fail(format!("call {index}, {call:?}: {difference}"))
        })?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn both_give_the_same(options in options(), calls in prop::collection::vec(call(), 1..120)) {
        check(options, calls)?;
    }
}
