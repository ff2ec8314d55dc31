//! The programs' cost, as the kernel counts it, against `ebpf/BUDGET.md`.

use std::{collections::BTreeMap, fs, path::Path};

use aya::programs::{
    ProgramInfo,
    links::{FdLink, PinnedLink},
    loaded_programs,
};

use crate::machine::Machine;

/// Most that a program may cost.
#[derive(Debug)]
struct Budget {
    verified: u32,
    jitted: u32,
}

/// The table's rows: program, instructions verified, bytes of machine code; the budget is the
/// second number of each cell ("412 of 600").
fn budgets() -> BTreeMap<String, Budget> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ebpf/BUDGET.md");
    let text = fs::read_to_string(path).unwrap();
    let limit = |cell: &str| cell.rsplit(' ').next()?.replace(',', "").parse().ok();
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, verified, jitted] = cells[..] else { return None };
            let budget = Budget { verified: limit(verified)?, jitted: limit(jitted)? };
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

#[test]
fn every_program_keeps_to_its_budget() {
    let Some(mut machine) = Machine::new() else { return };
    let (config, _plane) = machine.plane();
    let budgets = budgets();
    let links = config.directory().unwrap().join("links");
    let (mut seen, mut over) = (0, Vec::new());
    for entry in fs::read_dir(links).unwrap() {
        let link = entry.unwrap().path();
        let name = link.file_name().unwrap().to_str().unwrap();
        let program = program(&link);
        let (verified, jitted) =
            (program.verified_instruction_count().unwrap(), program.size_jitted());
        println!("{name}: {verified} instructions verified, {jitted} bytes jitted");
        let budget = budgets.get(name).unwrap_or_else(|| panic!("{name} has no budget"));
        if verified > budget.verified || jitted > budget.jitted {
            over.push(format!("{name}: {verified} verified, {jitted} bytes jitted, {budget:?}"));
        }
        seen += 1;
    }
    assert_eq!(over, [""; 0]);
    assert_eq!(seen, budgets.len(), "every row is a program");
}
