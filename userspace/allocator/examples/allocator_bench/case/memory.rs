//! `Memory`: how much of the process is resident for each agent.

use std::fs;

use muster_allocator::SorterKind;

use super::Variant;
use super::decline::busy_agent;
use crate::Failure;
use crate::cluster::{Cluster, FOREVER, MULTI_ROLE, agent_id, framework_id};
use crate::settings::{Settings, Size};
use crate::watch::Watch;

const SIZE: Size = Size { agents: 50_000, frameworks: 1_000 };
const PAGE: f64 = 4096.0;

/// So many refusals of each agent.
const ROUNDS: u32 = 20;

pub(super) fn variants(settings: &Settings) -> Vec<Variant> {
    let size = settings.size.unwrap_or(SIZE);
    vec![Variant { once: true, ..Variant::new(size.to_string(), move |watch| run(size, watch)) }]
}

#[expect(clippy::cast_precision_loss, reason = "there are not so many agents")]
fn run(size: Size, watch: &mut Watch) -> Result<(), Failure> {
    let mut cluster = Cluster::new(SorterKind::Drf);
    let mut ignored = Watch::default();
    cluster.add_frameworks(&mut ignored, size.frameworks, MULTI_ROLE, |_| "*".to_owned())?;
    let (total, used) = busy_agent()?;
    let start = resident()?;
    for number in 0..size.agents {
        // One by one: nothing else is to be in memory.
        let options = muster_allocator::AgentOptions {
            hostname: agent_id(number),
            total: total.clone(),
            ..muster_allocator::AgentOptions::default()
        };
        let used = [(framework_id(number % size.frameworks), used.clone())].into();
        cluster.allocator.add_agent(&agent_id(number), options, used)?;
    }
    let count = size.agents as f64;
    watch.note_bytes("an agent with something in use", (resident()? - start) / count);
    cluster.cycle();
    cluster.expect_offers(size.agents)?;
    // The offers, as they are told, are here too.
    let offered = resident()? - start;
    watch.note_bytes("and the rest offered", offered / count);
    for _ in 0..ROUNDS {
        cluster.decline(FOREVER)?;
        cluster.cycle();
        cluster.expect_offers(size.agents)?;
    }
    let more = (resident()? - start - offered).max(0.0);
    watch.note_bytes("each refusal besides", more / (count * f64::from(ROUNDS)));
    Ok(())
}

/// Memory of this process, in bytes.
fn resident() -> Result<f64, Failure> {
    let text = fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = text.split_whitespace().nth(1).ok_or("statm has no second field")?.parse()?;
    Ok(pages * PAGE)
}
