//! Fixed pieces of work whose instructions are counted from outside: all that happens within
//! [`counted`], and nothing else.

use muster_allocator::SorterKind;

use super::decline::busy_cluster;
use super::quota::prepared;
use super::sorter::filled;
use crate::Failure;
use crate::cluster::{Cluster, FOREVER};
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
        "quota-empty" => quota_empty(),
        "decline" => decline(),
        "sort" => sort(),
        "change" => change(),
        _ => Err(format!("--count {name:?}: see INSTRUCTIONS.md for what there is").into()),
    }
}

fn quota_cluster() -> Result<Cluster, Failure> {
    prepared(&mut Watch::default(), SorterKind::Drf, 250, 50)
}

/// `LargeAndSmallQuota` with 300 agents: the cycle that makes allocations.
fn quota() -> Result<(), Failure> {
    let mut cluster = quota_cluster()?;
    counted(&mut || {
        cluster.offers = cluster.allocator.allocate(cluster.now);
        Ok(())
    })?;
    cluster.expect_offers(350)
}

/// The one after it.
fn quota_empty() -> Result<(), Failure> {
    let mut cluster = quota_cluster()?;
    cluster.cycle();
    let mut more = Vec::new();
    counted(&mut || {
        more = cluster.allocator.allocate(cluster.now);
        Ok(())
    })?;
    if more.is_empty() { Ok(()) } else { Err(format!("{} more offers", more.len()).into()) }
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

fn thousand() -> Vec<String> {
    (0..1_000).map(|number| number.to_string()).collect()
}

/// `FullSort` of 1,000 clients.
fn sort() -> Result<(), Failure> {
    let (mut sorter, _) = filled(&mut Watch::default(), 1_000, &thousand())?;
    let mut sorted = 0;
    counted(&mut || {
        sorted = sorter.sort().count();
        Ok(())
    })?;
    if sorted == 1_000 { Ok(()) } else { Err(format!("{sorted} clients were sorted").into()) }
}

/// A hundred changes of them, after each of which somebody asks for the first.
fn change() -> Result<(), Failure> {
    let paths = thousand();
    let (mut sorter, allocated) = filled(&mut Watch::default(), 1_000, &paths)?;
    // Sorted once, so that there is an order to keep up.
    let mut firsts = sorter.sort().take(0).count();
    counted(&mut || {
        for path in &paths[..100] {
            sorter.allocated(path, &allocated);
            firsts += usize::from(sorter.sort().next().is_some());
        }
        Ok(())
    })?;
    if firsts == 100 { Ok(()) } else { Err(format!("{firsts} firsts were there").into()) }
}
