//! `MultiFrameworkAllocations`: frameworks of three kinds want to launch 19,500 tasks. Mesos'
//! own loses an offer in each round; here each is answered.

use std::collections::BTreeMap;

use muster_allocator::{FrameworkOptions, Grant, SorterKind};
use muster_resources::Resources;

use super::Variant;
use crate::Failure;
use crate::cluster::{Cluster, MULTI_ROLE, agents};
use crate::settings::Settings;
use crate::stopwatch::{Stopwatch, Took};
use crate::things::parsed;
use crate::watch::Watch;

const MOST_ROUNDS: u32 = 10_000;

/// So many rounds without a task are taken as a standstill.
const PATIENCE: u32 = 100;

/// What frameworks of a kind do.
struct Kind {
    name: &'static str,
    /// How many frameworks, and whether each has a role of its own.
    frameworks: usize,
    own_roles: bool,
    tasks: usize,
    task: Resources,
    tasks_per_offer: usize,
}

/// As Mesos' case is, it comes to a standstill: frameworks that are done give back what they
/// are offered and are offered it again, since their shares are smaller. If they suppress
/// offers when they are done, all tasks are launched.
pub(super) fn variants(_: &Settings) -> Vec<Variant> {
    vec![
        Variant::new("done but not suppressed", |watch| run(watch, false)),
        Variant::new("suppressed when done", |watch| run(watch, true)),
    ]
}

fn kinds() -> Result<[Kind; 3], Failure> {
    let kind = |name, frameworks, own_roles, tasks, task, tasks_per_offer| {
        let task = parsed(task)?;
        Ok::<_, Failure>(Kind { name, frameworks, own_roles, tasks, task, tasks_per_offer })
    };
    Ok([
        kind("Marathon", 4, true, 4_000, "cpus:0.07;mem:400", 100)?,
        kind("Jenkins", 500, false, 5, "cpus:0.1;mem:4000", 1)?,
        kind("SparkDispatcher", 50, true, 20, "cpus:1;mem:1000", 5)?,
    ])
}

fn run(watch: &mut Watch, suppress: bool) -> Result<(), Failure> {
    let mut cluster = Cluster::new(SorterKind::Drf);
    let total = parsed("cpus:64;mem:488000")?;
    cluster.add_agents(watch, agents(80, 1, |_| (total.clone(), Resources::default())))?;
    let kinds = kinds()?;
    // The kind of each framework, and how many tasks it has still to launch.
    let mut left: BTreeMap<String, (&Kind, usize)> = BTreeMap::new();
    for kind in &kinds {
        for number in 0..kind.frameworks {
            let id = format!("{}-{number}", kind.name);
            let role = if kind.own_roles { &id } else { kind.name };
            let options = FrameworkOptions {
                roles: vec![role.to_owned()],
                capabilities: MULTI_ROLE,
                active: true,
                ..FrameworkOptions::default()
            };
            cluster.allocator.add_framework(&id, options, BTreeMap::new())?;
            left.insert(id, (kind, kind.tasks));
        }
    }
    let (start, mut cycles, mut rounds, mut idle) = (Stopwatch::start(), Took::default(), 0, 0);
    while left.values().any(|(_, tasks)| *tasks > 0) && idle < PATIENCE {
        (rounds, idle) = (rounds + 1, idle + 1);
        if rounds > MOST_ROUNDS {
            return Err(format!("the tasks are not launched after {MOST_ROUNDS} rounds").into());
        }
        cycles += cluster.cycle();
        for offer in std::mem::take(&mut cluster.offers) {
            let (kind, tasks) = left.get_mut(&offer.framework).ok_or("a stranger's offer")?;
            let launched = answer(&mut cluster, &offer, kind, *tasks)?;
            *tasks -= launched;
            if suppress && *tasks == 0 {
                cluster.allocator.suppress(&offer.framework, &[])?;
            }
            idle = if launched > 0 { 0 } else { idle };
        }
    }
    let unlaunched: usize = left.values().map(|(_, tasks)| tasks).sum();
    if suppress && unlaunched > 0 {
        return Err(format!("{unlaunched} tasks were not launched").into());
    }
    let launched = 19_500 - unlaunched;
    watch.note(&format!("{rounds} rounds that launched {launched} tasks"), start.elapsed());
    watch.note("their cycles", cycles);
    watch.note("a cycle, on average", cycles / rounds);
    Ok(())
}

/// Launches what is wanted and fits, and gives the rest back; how many tasks.
fn answer(
    cluster: &mut Cluster,
    offer: &Grant,
    kind: &Kind,
    wanted: usize,
) -> Result<usize, Failure> {
    let Grant { framework, role, agent, resources } = offer;
    let mut rest = resources.clone().unallocated();
    let mut launched = 0;
    while launched < wanted.min(kind.tasks_per_offer) && rest.contains(&kind.task) {
        cluster.allocator.launch(framework, role, agent, &kind.task)?;
        rest -= &kind.task;
        launched += 1;
    }
    cluster.allocator.recover(cluster.now, framework, role, agent, &rest, None)?;
    Ok(launched)
}
