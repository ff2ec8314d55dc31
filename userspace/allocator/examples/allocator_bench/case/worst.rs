//! `NothingFits`: everybody wants something, much is free, and nobody can be given anything.
//! So each has to be looked at for each agent, once.

use muster_allocator::{Quota, SorterKind};
use muster_resources::{Limits, Quantities, Resources};

use super::Variant;
use crate::Failure;
use crate::cluster::{Cluster, FOREVER, MULTI_ROLE, agents};
use crate::settings::{Settings, Size};
use crate::things::parsed;
use crate::watch::Watch;

const SIZE: Size = Size { agents: 50_000, frameworks: 1_000 };

/// Filters of all frameworks for each agent take memory.
const WITH_FILTERS: Size = Size { agents: 300, frameworks: 1_000 };

pub(super) fn variants(settings: &Settings) -> Vec<Variant> {
    let size = settings.size.unwrap_or(SIZE);
    let small = settings.size.unwrap_or(WITH_FILTERS);
    vec![
        Variant::new(format!("{size} one role, GPUs"), move |watch| gpus(watch, size, false)),
        Variant::new(format!("{size} a role each, GPUs"), move |watch| gpus(watch, size, true)),
        Variant::new(format!("{size} guaranteed GPUs"), move |watch| guarantees(watch, size)),
        Variant::new(format!("{small} all refused"), move |watch| refused(watch, small)),
    ]
}

/// All agents have GPUs, and no framework knows them.
fn gpus(watch: &mut Watch, size: Size, own_roles: bool) -> Result<(), Failure> {
    let role =
        move |number: usize| if own_roles { format!("role{number}") } else { "*".to_owned() };
    let mut cluster = filled(size, "cpus:24;mem:4096;disk:4096;gpus:2", role)?;
    let took = cluster.cycle();
    watch.note("cycle", took);
    cluster.expect_offers(0)
}

/// All roles are guaranteed GPUs, which no agent has. The rest is offered.
fn guarantees(watch: &mut Watch, size: Size) -> Result<(), Failure> {
    let role = |number: usize| format!("role{number}");
    let mut cluster = filled(size, "cpus:24;mem:4096;disk:4096", role)?;
    for number in 0..size.frameworks {
        let quota = Quota { guarantees: Quantities::parse("gpus:1")?, limits: Limits::default() };
        cluster.allocator.update_quota(&role(number), quota)?;
    }
    let took = cluster.cycle();
    watch.note("cycle", took);
    cluster.expect_offers(size.agents)
}

/// Every framework has refused every agent.
fn refused(watch: &mut Watch, size: Size) -> Result<(), Failure> {
    let mut cluster = filled(size, "cpus:24;mem:4096;disk:4096", |_| "*".to_owned())?;
    for _ in 0..size.frameworks {
        cluster.cycle();
        cluster.expect_offers(size.agents)?;
        cluster.decline(FOREVER)?;
    }
    let took = cluster.cycle();
    watch.note("cycle", took);
    cluster.expect_offers(0)
}

fn filled(size: Size, total: &str, role: impl Fn(usize) -> String) -> Result<Cluster, Failure> {
    let total = parsed(total)?;
    let mut ignored = Watch::default();
    let mut cluster = Cluster::new(SorterKind::Drf);
    cluster.add_frameworks(&mut ignored, size.frameworks, MULTI_ROLE, role)?;
    let all = agents(size.agents, size.frameworks, |_| (total.clone(), Resources::default()));
    for (id, options, used) in all {
        cluster.allocator.add_agent(&id, options, used)?;
    }
    Ok(cluster)
}
