//! The programs' cost, as the kernel counts it, against `ebpf/BUDGET.md`.

use std::{collections::BTreeMap, fs, path::Path};

use aya::programs::{
    ProgramInfo,
    links::{FdLink, PinnedLink},
    loaded_programs,
};

use procfs::sys::kernel::Version;

use crate::{forward::bed::Bed, machine::Machine, stack::bytes_of_stack};

/// What a program costs.
#[derive(Clone, Copy, Debug)]
struct Cost {
    verified: u32,
    jitted: u32,
    stack: u32,
}

// === impl Cost ===

impl Cost {
    /// True if a figure is more than one in twenty above the budget's.
    fn exceeds(self, budget: Self) -> bool {
        let exceeds = |cost: u32, budget: u32| u64::from(cost) * 20 > u64::from(budget) * 21;
        exceeds(self.verified, budget.verified)
            || exceeds(self.jitted, budget.jitted)
            || exceeds(self.stack, budget.stack)
    }
}

/// Instructions that a program may take under a kernel other than the table's, whose verifier goes
/// other ways: a quarter of the verifier's limit.
const VERIFIED_ELSEWHERE: u32 = 250_000;

fn budget_text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ebpf/BUDGET.md");
    fs::read_to_string(path).unwrap()
}

/// True if this kernel is the one that the table was made under.
fn is_tables_kernel(text: &str) -> bool {
    let (_, version) = text.split_once("on Linux ").unwrap();
    let version = version.split_whitespace().next().unwrap();
    let (major, minor) = version.split_once('.').unwrap();
    let running = Version::current().unwrap();
    (major.parse(), minor.parse()) == (Ok(running.major), Ok(running.minor))
}

/// The table's rows.
fn budgets(text: &str) -> BTreeMap<String, Cost> {
    let number = |cell: &str| cell.replace(',', "").parse().ok();
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, verified, jitted, stack, _ns] = cells[..] else { return None };
            let budget = Cost {
                verified: number(verified)?,
                jitted: number(jitted)?,
                stack: number(stack)?,
            };
            Some((name.trim_matches('`').to_owned(), budget))
        })
        .collect()
}

/// The program behind a pinned link.
fn program(link: &Path) -> ProgramInfo {
    let link: FdLink = PinnedLink::from_pin(link).unwrap().into();
    let id = link.info().unwrap().program_id();
    // Others' programs may go away while they are listed.
    loaded_programs().flatten().find(|program| program.id() == id).unwrap()
}

/// What the programs cost that are attached to a cgroup. `None` where that cannot be.
fn attached(stack: &BTreeMap<String, u32>) -> Option<Vec<(String, Cost)>> {
    let mut machine = Machine::new()?;
    let (config, _plane) = machine.plane();
    let links = config.directory().unwrap().join("links");
    let mut costs = Vec::new();
    for entry in fs::read_dir(links).unwrap() {
        let link = entry.unwrap().path();
        let name = link.file_name().unwrap().to_str().unwrap();
        let program = program(&link);
        let cost = Cost {
            verified: program.verified_instruction_count().unwrap(),
            jitted: program.size_jitted(),
            stack: stack[name],
        };
        costs.push((name.to_owned(), cost));
    }
    Some(costs)
}

/// The same of those that are attached to network interfaces.
fn forwarding(stack: &BTreeMap<String, u32>) -> Option<Vec<(String, Cost)>> {
    let cost = |(name, verified, jitted): (&str, u32, u32)| {
        (name.to_owned(), Cost { verified, jitted, stack: stack[name] })
    };
    Some(Bed::new()?.costs().into_iter().map(cost).collect())
}

#[test]
fn every_program_keeps_to_its_budget() {
    let text = budget_text();
    let (budgets, stack) = (budgets(&text), bytes_of_stack());
    let is_tables_kernel = is_tables_kernel(&text);
    let Some(mut costs) = attached(&stack) else { return };
    let Some(others) = forwarding(&stack) else { return };
    costs.extend(others);
    let mut over = Vec::new();
    for (name, cost) in &costs {
        println!("{name}: {cost:?}");
        let mut budget = *budgets.get(name).unwrap_or_else(|| panic!("{name} has no budget"));
        if !is_tables_kernel {
            budget.verified = VERIFIED_ELSEWHERE;
        }
        if cost.exceeds(budget) {
            over.push(format!("{name}: {cost:?}, {budget:?}"));
        }
    }
    assert_eq!(over, [""; 0]);
    assert_eq!(costs.len(), budgets.len(), "every row is a program");
}

#[test]
fn figure_may_grow_by_a_twentieth() {
    let budget = Cost { verified: 1_000, jitted: 200, stack: 100 };
    assert!(!Cost { verified: 1_050, jitted: 210, stack: 105 }.exceeds(budget));
    assert!(Cost { verified: 1_051, ..budget }.exceeds(budget));
    assert!(Cost { jitted: 211, ..budget }.exceeds(budget));
    assert!(Cost { stack: 106, ..budget }.exceeds(budget));
}
