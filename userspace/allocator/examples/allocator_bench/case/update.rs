//! `AddAndUpdateSlave`: agents come with something in use, and then have revocable resources
//! besides.

use muster_allocator::{AgentOptions, FrameworkCapabilities, SorterKind};
use muster_resources::{Details, Resource, Scalar, Value};

use crate::Failure;
use crate::cluster::{Cluster, MULTI_ROLE, agent_id, agents};
use crate::settings::Size;
use crate::things::parsed;
use crate::watch::Watch;

pub(super) fn run(size: Size, watch: &mut Watch) -> Result<(), Failure> {
    let total = parsed("cpus:2;mem:1024;disk:4096;ports:[31000-32000]")?;
    let used =
        parsed("cpus:1;mem:128;disk:1024;ports:[31126-31510,31512-31623,31810-31852,31854-31964]")?
            .allocated_to("*");
    let mut cluster = Cluster::new(SorterKind::Drf);
    let knows = FrameworkCapabilities { revocable_resources: true, ..MULTI_ROLE };
    cluster.add_frameworks(watch, size.frameworks, knows, |_| "*".to_owned())?;
    let all = agents(size.agents, size.frameworks, |_| (total.clone(), used.clone()));
    cluster.add_agents(watch, all)?;
    cluster.expect_offers(size.agents)?;
    cluster.offers.clear();

    let revocable = Resource::new("cpus", Value::Scalar(Scalar::whole(10)))
        .with_details(Details { revocable: true, ..Details::default() });
    let mut more = total;
    more.add(revocable);
    let changes: Vec<(String, AgentOptions)> = (0..size.agents)
        .map(|number| {
            let hostname = agent_id(number);
            let total = more.clone();
            (agent_id(number), AgentOptions { hostname, total, ..AgentOptions::default() })
        })
        .collect();
    watch.time("update the agents", || {
        let mut changes = changes.into_iter();
        changes.try_for_each(|(id, options)| cluster.allocator.update_agent(&id, options))
    })?;
    cluster.cycle_of_candidates(watch, "cycle after the update");
    cluster.expect_offers(size.agents)
}
