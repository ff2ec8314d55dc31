//! `PersistentVolumes`: everything is reserved, and each agent has a volume.

use muster_allocator::{FrameworkCapabilities, SorterKind};

use super::Variant;
use crate::Failure;
use crate::cluster::{Cluster, MULTI_ROLE, agents};
use crate::settings::{Settings, Size};
use crate::things::{parsed, ports_in_pieces, reserved, volume};
use crate::watch::Watch;

const ROUNDS: usize = 6;

/// Which volumes are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharedness {
    Regular,
    Shared,
    /// Every other one.
    Mixed,
}

pub(super) fn variants(settings: &Settings) -> Vec<Variant> {
    let mut all = Vec::new();
    for size in settings.grid() {
        for kind in [Sharedness::Regular, Sharedness::Shared, Sharedness::Mixed] {
            let name = format!("{size} {kind:?}").to_lowercase();
            all.push(Variant::new(name, move |watch| run(size, kind, watch)));
        }
    }
    all
}

fn run(size: Size, kind: Sharedness, watch: &mut Watch) -> Result<(), Failure> {
    let by = muster_resources::Reservation::fixed("test");
    let total = parsed("cpus:24;mem:4096;disk:3072;ports:[31000-32000]")?;
    let total = reserved(&total, &by)?;
    let mut used = parsed("cpus:16;mem:1024;disk:1024")?;
    used.add(ports_in_pieces(16)?);
    let used = reserved(&used, &by)?.allocated_to("test");
    let mut cluster = Cluster::new(SorterKind::Drf);
    let shared = kind != Sharedness::Regular;
    let knows = FrameworkCapabilities { shared_resources: shared, ..MULTI_ROLE };
    cluster.add_frameworks(watch, size.frameworks, knows, |_| "test".to_owned())?;
    let all = agents(size.agents, size.frameworks, |number| {
        let shared =
            kind == Sharedness::Shared || (kind == Sharedness::Mixed && number.is_multiple_of(2));
        let mut total = total.clone();
        total.add(volume("test", format!("id{number}"), shared));
        (total, used.clone())
    });
    cluster.add_agents(watch, all)?;
    for _ in 0..ROUNDS {
        let (_, took) = cluster.decline(None)?;
        watch.note("give all offers back", took);
        let took = cluster.cycle();
        watch.note("cycle", took);
        cluster.expect_offers(size.agents)?;
    }
    Ok(())
}
