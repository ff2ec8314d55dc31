//! `AllocatorBacklog`: many calls that ask for a cycle, with nothing to hand out.

use muster_allocator::SorterKind;
use muster_resources::Resources;

use crate::Failure;
use crate::cluster::{Cluster, MULTI_ROLE, agents, framework_id};
use crate::settings::Size;
use crate::things::parsed;
use crate::watch::Watch;

pub(super) fn run(size: Size, watch: &mut Watch) -> Result<(), Failure> {
    let total = parsed("cpus:24;mem:4096;disk:4096;ports:[31000-32000]")?;
    let mut cluster = Cluster::new(SorterKind::Drf);
    cluster.add_frameworks(watch, size.frameworks, MULTI_ROLE, |_| "*".to_owned())?;
    let all = agents(size.agents, size.frameworks, |_| (total.clone(), Resources::default()));
    cluster.add_agents(watch, all)?;
    cluster.expect_offers(size.agents)?;
    let ids: Vec<String> = (0..size.frameworks).map(framework_id).collect();
    // Mesos' master takes them one by one, with one cycle for all that wait.
    watch.time("revive all, then one cycle", || {
        ids.iter().try_for_each(|id| cluster.allocator.revive(id, &[]))?;
        cluster.offers.extend(cluster.allocator.allocate_candidates(cluster.now));
        Ok::<(), Failure>(())
    })?;
    watch.time("revive all, with a cycle after each", || {
        for id in &ids {
            cluster.allocator.revive(id, &[])?;
            cluster.offers.extend(cluster.allocator.allocate_candidates(cluster.now));
        }
        Ok::<(), Failure>(())
    })?;
    cluster.expect_offers(size.agents)
}
