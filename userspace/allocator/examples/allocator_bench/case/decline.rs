//! `DeclineOffers` and `ResourceLabels`: frameworks that have all they want decline everything
//! for good.

use muster_allocator::SorterKind;
use muster_resources::Resources;

use crate::Failure;
use crate::cluster::{Cluster, FOREVER, MULTI_ROLE, agents};
use crate::settings::Size;
use crate::stopwatch::Took;
use crate::things::{labelled as reservation, labels, parsed, ports_in_pieces, reserved};
use crate::watch::Watch;

/// Mesos goes on until each framework has declined each agent, which takes hours and gigabytes
/// where there are many of both. So many refusals show how it goes.
const REFUSALS: usize = 200_000;

/// Something in use on each agent, in the role of all frameworks.
pub(super) fn plain(size: Size, watch: &mut Watch) -> Result<(), Failure> {
    let mut cluster = busy_cluster(size, watch)?;
    decline(&mut cluster, size, watch)
}

/// Agents that are in part in use by the frameworks of one role; the rest is offered.
pub(super) fn busy_cluster(size: Size, watch: &mut Watch) -> Result<Cluster, Failure> {
    let (total, used) = busy_agent()?;
    start(size, watch, "*", |_| Ok((total.clone(), used.clone())))
}

/// An agent of which a part is in use, and that part.
pub(super) fn busy_agent() -> Result<(Resources, Resources), Failure> {
    let total = parsed("cpus:24;mem:4096;disk:4096;ports:[31000-32000]")?;
    let mut used = parsed("cpus:16;mem:2014;disk:1024")?;
    used.add(ports_in_pieces(16)?);
    Ok((total, used.allocated_to("*")))
}

/// Two reservations on each agent, which no others are like. Mesos' own case forgets to have
/// them in the agent's total.
pub(super) fn labelled(size: Size, watch: &mut Watch) -> Result<(), Failure> {
    let (rest, cpus) = (parsed("mem:2014;disk:1024")?, parsed("cpus:8")?);
    let ports = ports_in_pieces(16)?;
    let mut cluster = start(size, watch, "role1", |number| {
        let mut used = rest.clone();
        used.add(ports.clone());
        let mut total = parsed("cpus:8;mem:4096;disk:4096;ports:[31000-32000]")?;
        for which in ["unique_key_1", "unique_key_2"] {
            let mut labels = labels(11);
            let value = Some(format!("value_{number}"));
            labels.push(muster_resources::Label { key: which.to_owned(), value });
            let part = reserved(&cpus, &reservation("role1", labels))?;
            used += &part;
            total += part;
        }
        Ok((total, used.allocated_to("role1")))
    })?;
    decline(&mut cluster, size, watch)
}

fn start(
    size: Size,
    watch: &mut Watch,
    role: &str,
    agent: impl Fn(usize) -> Result<(Resources, Resources), Failure>,
) -> Result<Cluster, Failure> {
    let mut cluster = Cluster::new(SorterKind::Drf);
    cluster.add_frameworks(watch, size.frameworks, MULTI_ROLE, |_| role.to_owned())?;
    let kinds = (0..size.agents).map(agent).collect::<Result<Vec<_>, _>>()?;
    let all = agents(size.agents, size.frameworks, |number| kinds[number].clone());
    cluster.add_agents(watch, all)?;
    cluster.expect_offers(size.agents)?;
    Ok(cluster)
}

/// Declines what was offered and hands out anew, over and over.
fn decline(cluster: &mut Cluster, size: Size, watch: &mut Watch) -> Result<(), Failure> {
    let rounds = (size.frameworks * 2).min(REFUSALS / size.agents).max(2);
    let (mut cycles, mut declines) = (Took::default(), (0, Took::default()));
    for round in 1..=rounds {
        let (count, took) = cluster.decline(FOREVER)?;
        declines.0 += count;
        declines.1 += took;
        let took = cluster.cycle();
        cycles += took;
        // Until everybody has refused everything, all is offered.
        cluster.expect_offers(if round < size.frameworks { size.agents } else { 0 })?;
        if [1, 150].contains(&round) || round == rounds {
            watch.note(&format!("cycle after {round} rounds of refusals"), took);
        }
    }
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    watch.note("a cycle, on average", cycles / count(rounds));
    watch.note("one refusal, on average", declines.1 / count(declines.0));
    Ok(())
}
