//! `FullSort` and `HierarchyFullSort`: the sorter by itself. Mesos' own never activates its
//! clients, so that there is nothing to sort; here they are active.

use muster_allocator::Sorter;
use muster_resources::{Quantities, Resources};

use super::Variant;
use crate::Failure;
use crate::settings::Settings;
use crate::stopwatch::Stopwatch;
use crate::things::{parsed, ports_in_pieces};
use crate::watch::Watch;

const AGENTS: [usize; 6] = [1_000, 5_000, 10_000, 20_000, 30_000, 50_000];
const CLIENTS: [usize; 6] = [1, 50, 100, 200, 500, 1_000];

/// Height and branching of the trees: about 1,000 clients each.
const TREES: [(usize, usize); 3] = [(3, 32), (7, 3), (10, 2)];

/// How often what takes no time is done, to be timed at all.
const OFTEN: u32 = 1_000;

pub(super) fn flat(settings: &Settings) -> Vec<Variant> {
    let mut all = Vec::new();
    for agents in AGENTS {
        for clients in CLIENTS {
            if !settings.quick || (agents, clients) == (1_000, 1_000) {
                let name = format!("{agents} agents, {clients} clients");
                let paths = (0..clients).map(|number| number.to_string()).collect();
                all.push(variant(name, agents, paths));
            }
        }
    }
    all
}

pub(super) fn hierarchy(settings: &Settings) -> Vec<Variant> {
    let mut all = Vec::new();
    for agents in AGENTS {
        for (height, branching) in TREES {
            if !settings.quick || agents == 1_000 {
                let name = format!("{agents} agents, height {height}, branching {branching}");
                let mut paths = Vec::new();
                grow(&mut paths, "", height, branching);
                all.push(variant(name, agents, paths));
            }
        }
    }
    all
}

/// A tree, its deepest clients first.
fn grow(paths: &mut Vec<String>, path: &str, height: usize, branching: usize) {
    if height > 1 {
        for number in 0..branching {
            let slash = if path.is_empty() { "" } else { "/" };
            grow(paths, &format!("{path}{slash}{number}"), height - 1, branching);
        }
    }
    if !path.is_empty() {
        paths.push(path.to_owned());
    }
}

fn variant(name: String, agents: usize, paths: Vec<String>) -> Variant {
    Variant::new(name, move |watch| run(watch, agents, &paths))
}

/// Clients, agents and allocations, not sorted yet.
pub(super) fn filled(
    watch: &mut Watch,
    agents: usize,
    paths: &[String],
) -> Result<(Sorter, Resources), Failure> {
    let mut sorter = Sorter::new(1);
    watch.time("add the clients", || {
        for path in paths {
            sorter.add(path);
            sorter.set_active(path, true);
        }
    });
    let total = Quantities::parse("cpus:24;mem:4096;disk:4096")?;
    watch.time("add the agents", || (0..agents).for_each(|_| sorter.add_total(&total)));
    let mut allocated = parsed("cpus:16;mem:2014;disk:1024")?;
    allocated.add(ports_in_pieces(100)?);
    watch.time("allocate", || {
        for path in paths.iter().cycle().take(agents) {
            sorter.allocated(path, &allocated);
        }
    });
    Ok((sorter, allocated))
}

fn run(watch: &mut Watch, agents: usize, paths: &[String]) -> Result<(), Failure> {
    let (mut sorter, allocated) = filled(watch, agents, paths)?;
    let all = watch.time("full sort", || sorter.sort().count());
    if all != paths.len() {
        return Err(format!("{all} clients were sorted, there are {}", paths.len()).into());
    }
    // One client's share changes, and somebody asks who comes first.
    let start = Stopwatch::start();
    for path in paths.iter().cycle().take(OFTEN as usize) {
        sorter.allocated(path, &allocated);
        std::hint::black_box(sorter.sort().next());
    }
    watch.note("change one, and ask for the first", start.elapsed() / OFTEN);
    let start = Stopwatch::start();
    for _ in 0..OFTEN {
        std::hint::black_box(sorter.sort().next());
    }
    watch.note("no-op sort, asking for the first", start.elapsed() / OFTEN);
    watch.time("no-op sort, going through all", || std::hint::black_box(sorter.sort().count()));
    watch.time("take back", || {
        for path in paths.iter().cycle().take(agents) {
            sorter.unallocated(path, &allocated);
        }
    });
    let total = Quantities::parse("cpus:24;mem:4096;disk:4096")?;
    watch.time("remove the agents", || (0..agents).for_each(|_| sorter.remove_total(&total)));
    watch.time("remove the clients", || paths.iter().for_each(|path| sorter.remove(path)));
    Ok(())
}
