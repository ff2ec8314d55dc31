//! More than Mesos' cases ask for: whole cycles over large clusters, and how they grow; one
//! agent's resources that come free.

use muster_allocator::{Grant, SorterKind};

use super::Variant;
use super::decline::busy_agent;
use super::metrics::both;
use crate::Failure;
use crate::cluster::{Cluster, FOREVER, MULTI_ROLE, agents, framework_id};
use crate::settings::{Settings, Size};
use crate::stopwatch::Stopwatch;
use crate::watch::Watch;

/// How the frameworks are spread over roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Roles {
    /// All in one.
    One,
    /// Each in its own.
    Own,
    /// Each in its own, which has quota.
    OwnWithQuota,
    /// Ten in each of those below twenty others.
    Nested,
}

const ROLES: [(&str, Roles); 4] = [
    ("one role", Roles::One),
    ("a role each", Roles::Own),
    ("a role with quota each", Roles::OwnWithQuota),
    ("nested roles", Roles::Nested),
];

const LARGE: Size = Size { agents: 50_000, frameworks: 1_000 };

/// Doubled in one dimension, then in the other, to see how it grows.
fn sizes(settings: &Settings) -> Vec<Size> {
    if let Some(size) = settings.size {
        return vec![size];
    }
    if settings.quick {
        return vec![LARGE];
    }
    let by_agents = [6_250, 12_500, 25_000, 50_000].map(|agents| Size { agents, ..LARGE });
    let by_frameworks =
        [125, 250, 500, 2_000, 4_000, 8_000].map(|frameworks| Size { frameworks, ..LARGE });
    by_agents.into_iter().chain(by_frameworks).collect()
}

/// All agents are free, and all is offered.
pub(super) fn full_cycle(settings: &Settings) -> Vec<Variant> {
    let mut all = Vec::new();
    for (name, roles) in ROLES {
        for size in sizes(settings) {
            let run = move |watch: &mut Watch| {
                let mut cluster = start(size, roles)?;
                let took = cluster.cycle();
                watch.note("all free, all offered", took);
                if roles == Roles::OwnWithQuota {
                    // Offers are cut at the quota.
                    return Ok(());
                }
                cluster.expect_offers(size.agents)?;
                cluster.decline(FOREVER)?;
                let took = cluster.cycle();
                watch.note("all free, refused once, all offered", took);
                cluster.expect_offers(if size.frameworks > 1 { size.agents } else { 0 })?;
                let took = cluster.cycle();
                watch.note("nothing free", took);
                Ok(())
            };
            all.push(Variant::new(format!("{size} {name}"), run));
        }
    }
    all
}

/// A cluster in which a part of each agent is in use, and the rest free.
fn start(size: Size, roles: Roles) -> Result<Cluster, Failure> {
    let role = move |number: usize| match roles {
        Roles::One => "*".to_owned(),
        Roles::Own | Roles::OwnWithQuota => format!("role{number}"),
        Roles::Nested => format!("top{}/below{}", number / 10 % 20, number / 10),
    };
    let (total, used) = busy_agent()?;
    let used = used.unallocated();
    let mut ignored = Watch::default();
    let mut cluster = Cluster::new(SorterKind::Drf);
    cluster.add_frameworks(&mut ignored, size.frameworks, MULTI_ROLE, role)?;
    if roles == Roles::OwnWithQuota {
        // All together, a half of what is free.
        let cpus = size.agents * 20 / size.frameworks;
        let quota = both(&format!("cpus:{cpus};mem:{}", cpus * 160))?;
        for number in 0..size.frameworks {
            cluster.allocator.update_quota(&role(number), quota.clone())?;
        }
    }
    let all = agents(size.agents, size.frameworks, |number| {
        (total.clone(), used.clone().allocated_to(&role(number % size.frameworks)))
    });
    for (id, options, used) in all {
        cluster.allocator.add_agent(&id, options, used)?;
    }
    Ok(cluster)
}

/// With everything offered, one offer is given back and made anew.
pub(super) fn one_agent(settings: &Settings) -> Vec<Variant> {
    let mut all = Vec::new();
    for (name, roles) in ROLES {
        let size = settings.size.unwrap_or(LARGE);
        let run = move |watch: &mut Watch| {
            let mut cluster = start(size, roles)?;
            cluster.cycle();
            cluster.cycle();
            for round in 0..100_usize {
                let which = (round * 7_919) % cluster.offers.len();
                let offer = cluster.offers.swap_remove(which);
                give_back(watch, &mut cluster, &offer)?;
            }
            let id = framework_id(0);
            watch.time("revive, and a cycle with nothing free", || {
                cluster.allocator.revive(&id, &[])?;
                cluster.allocator.allocate_candidates(cluster.now);
                Ok::<(), Failure>(())
            })
        };
        all.push(Variant::new(format!("{size} {name}"), run));
    }
    all
}

/// Gives one offer back; a cycle over all agents offers it to who comes first.
fn give_back(watch: &mut Watch, cluster: &mut Cluster, offer: &Grant) -> Result<(), Failure> {
    let Grant { framework, role, agent, resources } = offer;
    let start = Stopwatch::start();
    cluster.allocator.recover(cluster.now, framework, role, agent, resources, None)?;
    let grants = cluster.allocator.allocate(cluster.now);
    watch.note("given back and offered again", start.elapsed());
    if grants.is_empty() {
        return Err("nothing was offered again".into());
    }
    cluster.offers.extend(grants);
    Ok(())
}
