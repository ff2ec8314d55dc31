//! `SuppressOffers` and `ExtremeSuppressOffers`: more and more frameworks want no offers.

use muster_allocator::SorterKind;

use crate::Failure;
use crate::cluster::{Cluster, MULTI_ROLE, agents, framework_id};
use crate::settings::Size;
use crate::stopwatch::{Stopwatch, Took};
use crate::things::{parsed, ports_in_pieces};
use crate::watch::Watch;

const ROUNDS: usize = 5;

/// Another fifth of the frameworks in each round.
pub(super) fn by_fifths(size: Size, watch: &mut Watch) -> Result<(), Failure> {
    let mut cluster = start(size, watch)?;
    let fifth = size.frameworks / ROUNDS;
    for round in 0..ROUNDS {
        let (_, took) = cluster.decline(None)?;
        watch.note("give all offers back", took);
        let took = suppress(&mut cluster, round * fifth..(round + 1) * fifth)?;
        watch.note("suppress a fifth", took);
        let took = cluster.cycle();
        let suppressed = (round + 1) * fifth;
        watch.note(&format!("cycle with {suppressed} suppressed"), took);
        let any = suppressed < size.frameworks;
        cluster.expect_offers(if any { size.agents } else { 0 })?;
    }
    Ok(())
}

/// All but one in a hundred, at once.
pub(super) fn extreme(size: Size, watch: &mut Watch) -> Result<(), Failure> {
    let mut cluster = start(size, watch)?;
    let suppressed = size.frameworks * 99 / 100;
    let took = suppress(&mut cluster, 0..suppressed)?;
    watch.note("suppress them", took);
    for _ in 0..ROUNDS {
        let (_, took) = cluster.decline(None)?;
        watch.note("give all offers back", took);
        let took = cluster.cycle();
        watch.note(&format!("cycle with {suppressed} suppressed"), took);
        cluster.expect_offers(size.agents)?;
    }
    Ok(())
}

fn start(size: Size, watch: &mut Watch) -> Result<Cluster, Failure> {
    let total = parsed("cpus:24;mem:4096;disk:4096;ports:[31000-32000]")?;
    let mut used = parsed("cpus:16;mem:1024;disk:1024")?;
    used.add(ports_in_pieces(16)?);
    let used = used.allocated_to("*");
    let mut cluster = Cluster::new(SorterKind::Drf);
    cluster.add_frameworks(watch, size.frameworks, MULTI_ROLE, |_| "*".to_owned())?;
    let all = agents(size.agents, size.frameworks, |_| (total.clone(), used.clone()));
    cluster.add_agents(watch, all)?;
    cluster.expect_offers(size.agents)?;
    Ok(cluster)
}

fn suppress(cluster: &mut Cluster, which: std::ops::Range<usize>) -> Result<Took, Failure> {
    let ids: Vec<String> = which.map(framework_id).collect();
    let start = Stopwatch::start();
    for id in &ids {
        cluster.allocator.suppress(id, &[])?;
    }
    Ok(start.elapsed())
}
