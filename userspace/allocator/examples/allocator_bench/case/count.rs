//! Fixed pieces of work whose instructions are counted from outside: all that happens within
//! [`counted`], and nothing else.

use muster_allocator::SorterKind;

use super::decline::busy_cluster;
use super::quota::prepared;
use super::sorter::filled;
use crate::Failure;
use crate::cluster::FOREVER;
use crate::settings::Size;
use crate::watch::Watch;

/// Does work whose instructions count. Its name is looked for in the program.
#[inline(never)]
fn counted(work: &mut dyn FnMut() -> Result<(), Failure>) -> Result<(), Failure> {
    work()
}

pub(crate) fn run(name: &str) -> Result<(), Failure> {
    match name {
        "quota" => quota(),
        "decline" => decline(),
        "sort" => sort(),
        _ => Err(format!("--count {name:?}: there are quota, decline and sort").into()),
    }
}

/// `LargeAndSmallQuota` with 300 agents: the cycle that makes allocations, and the one after.
fn quota() -> Result<(), Failure> {
    let mut cluster = prepared(&mut Watch::default(), SorterKind::Drf, 250, 50)?;
    counted(&mut || {
        cluster.cycle();
        cluster.cycle();
        Ok(())
    })?;
    cluster.expect_offers(350)
}

/// `DeclineOffers`: ten rounds in which everything is refused and offered again.
fn decline() -> Result<(), Failure> {
    let size = Size { agents: 300, frameworks: 100 };
    let mut cluster = busy_cluster(size, &mut Watch::default())?;
    counted(&mut || {
        for _ in 0..10 {
            cluster.decline(FOREVER)?;
            cluster.cycle();
        }
        Ok(())
    })?;
    cluster.expect_offers(size.agents)
}

/// `FullSort` of 1,000 clients, and a hundred changes after each of which the first is asked
/// for.
fn sort() -> Result<(), Failure> {
    let paths: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    let (mut sorter, allocated) = filled(&mut Watch::default(), 1_000, &paths)?;
    let mut firsts = 0;
    counted(&mut || {
        firsts += sorter.sort().count();
        for path in &paths[..100] {
            sorter.allocated(path, &allocated);
            firsts += usize::from(sorter.sort().next().is_some());
        }
        Ok(())
    })?;
    if firsts == 1_100 { Ok(()) } else { Err(format!("{firsts} clients were sorted").into()) }
}
