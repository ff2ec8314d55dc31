//! `LargeAndSmallQuota` and `NonQuotaVsQuota`.

use muster_allocator::SorterKind;
use muster_resources::Resources;

use super::Variant;
use super::metrics::both;
use crate::Failure;
use crate::cluster::{Cluster, MULTI_ROLE, agents};
use crate::settings::Settings;
use crate::things::parsed;
use crate::watch::Watch;

const SORTERS: [(&str, SorterKind); 2] = [("drf", SorterKind::Drf), ("random", SorterKind::Random)];

/// Roles with small and with large quota; so many agents that not all are needed.
const SMALL_AND_LARGE: [(usize, usize); 3] = [(25, 5), (250, 50), (2_500, 500)];

const ROLES: [usize; 3] = [10, 100, 1_000];

pub(super) fn large_and_small(_: &Settings) -> Vec<Variant> {
    let mut all = Vec::new();
    for (name, sorter) in SORTERS {
        for (small, large) in SMALL_AND_LARGE {
            let name = format!("{} {name}", agents_for(small, large));
            all.push(Variant::new(name, move |watch| {
                let mut cluster = prepared(watch, sorter, small, large)?;
                let took = cluster.cycle();
                watch.note("making cycle", took);
                if sorter == SorterKind::Drf {
                    // Where the small ones leave a half, a large one takes a piece more.
                    cluster.expect_offers(small + large * 2 + small % 2)?;
                }
                let made = cluster.offers.len();
                let took = cluster.cycle();
                watch.note("empty cycle", took);
                cluster.expect_offers(made)
            }));
        }
    }
    all
}

fn agents_for(small: usize, large: usize) -> usize {
    small / 5 + large * 5
}

/// Everything up to the cycle that makes allocations.
pub(super) fn prepared(
    watch: &mut Watch,
    sorter: SorterKind,
    small: usize,
    large: usize,
) -> Result<Cluster, Failure> {
    let role = move |number: usize| match number.checked_sub(small) {
        None => format!("smallQuotaRole{number}"),
        Some(number) => format!("largeQuotaRole{number}"),
    };
    let mut cluster = Cluster::new(sorter);
    let total = parsed("cpus:2;mem:2048;disk:2048")?;
    let all = agents(agents_for(small, large), 1, |_| (total.clone(), Resources::default()));
    cluster.add_agents(watch, all)?;
    cluster.add_frameworks(watch, small + large, MULTI_ROLE, role)?;
    let quotas = [both("cpus:1;mem:1024;disk:1024")?, both("cpus:4;mem:4096;disk:4096")?];
    let all: Vec<_> = (0..small + large)
        .map(|number| (role(number), quotas[usize::from(number >= small)].clone()))
        .collect();
    watch.time("set the quota", || {
        all.into_iter().try_for_each(|(role, quota)| cluster.allocator.update_quota(&role, quota))
    })?;
    Ok(cluster)
}

/// The same allocations with and without quota: two agents and two frameworks for each role.
pub(super) fn with_and_without(_: &Settings) -> Vec<Variant> {
    let mut all = Vec::new();
    for (name, sorter) in SORTERS {
        for roles in ROLES {
            for with in [false, true] {
                let quota = if with { "quota" } else { "no quota" };
                let name = format!("{roles} roles {quota} {name}");
                all.push(Variant::new(name, move |watch| compare(watch, sorter, roles, with)));
            }
        }
    }
    all
}

fn compare(watch: &mut Watch, sorter: SorterKind, roles: usize, with: bool) -> Result<(), Failure> {
    let mut cluster = Cluster::new(sorter);
    let total = parsed("cpus:2;mem:2048;disk:2048")?;
    let all = agents(roles * 2, 1, |_| (total.clone(), Resources::default()));
    cluster.add_agents(watch, all)?;
    let role = |number: usize| format!("role{number}");
    cluster.add_frameworks(watch, roles * 2, MULTI_ROLE, |number| role(number / 2))?;
    if with {
        let quota = both("cpus:4;mem:4096;disk:4096")?;
        let all: Vec<_> = (0..roles).map(|number| (role(number), quota.clone())).collect();
        watch.time("set the quota", || {
            let mut all = all.into_iter();
            all.try_for_each(|(role, quota)| cluster.allocator.update_quota(&role, quota))
        })?;
    }
    let took = cluster.cycle();
    watch.note("making cycle", took);
    cluster.expect_offers(roles * 2)?;
    let took = cluster.cycle();
    watch.note("empty cycle", took);
    cluster.expect_offers(roles * 2)
}
