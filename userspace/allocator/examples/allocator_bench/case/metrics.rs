//! `Metrics`: a role with quota for each framework.

use muster_allocator::{Quota, SorterKind};
use muster_resources::{Limits, Quantities, Resources};

use crate::Failure;
use crate::cluster::{Cluster, MULTI_ROLE, agents};
use crate::settings::Size;
use crate::things::parsed;
use crate::watch::Watch;

pub(super) fn run(size: Size, watch: &mut Watch) -> Result<(), Failure> {
    let mut cluster = Cluster::new(SorterKind::Drf);
    let quota = both("cpus:1;mem:512;disk:256")?;
    let roles: Vec<String> = (0..size.frameworks).map(|number| number.to_string()).collect();
    let all: Vec<Quota> = roles.iter().map(|_| quota.clone()).collect();
    watch.time("set the quota", || {
        let mut pairs = roles.iter().zip(all);
        pairs.try_for_each(|(role, quota)| cluster.allocator.update_quota(role, quota))
    })?;
    cluster.add_frameworks(watch, size.frameworks, MULTI_ROLE, |number| number.to_string())?;
    let total = parsed("cpus:16;mem:2048;disk:1024")?;
    let all = agents(size.agents, size.frameworks, |_| (total.clone(), Resources::default()));
    cluster.add_agents(watch, all)?;
    let metrics = watch.time("metrics", || cluster.allocator.metrics());
    let quotas = metrics.keys().filter(|name| name.ends_with("resources/cpus/guarantee"));
    if quotas.count() != size.frameworks {
        return Err("metrics of some quota are missing".into());
    }
    Ok(())
}

/// Guaranteed, and no more than that.
pub(super) fn both(text: &str) -> Result<Quota, Failure> {
    Ok(Quota { guarantees: Quantities::parse(text)?, limits: Limits::parse(text)? })
}
