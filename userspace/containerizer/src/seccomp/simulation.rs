//! The kernel's side of a filter, for tests.

use super::Filter;
use super::architecture::Architecture;
use super::assembly::{AND, JUMP, JUMP_EQ, JUMP_GE, JUMP_GT, LOAD, RETURN};

/// What `filter` says to a call.
pub(super) fn run(filter: &Filter, audit: u32, number: u32, arguments: [u64; 6]) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "halves")]
    let halves = |value: &u64| [*value as u32, (value >> 32) as u32];
    let mut data = vec![number, audit, 0, 0];
    data.extend(arguments.iter().flat_map(halves));
    let program: Vec<_> = filter.instructions().collect();
    assert!(program.len() <= 4096, "more than the kernel takes");
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let now = program[at];
        at += 1;
        let mut branch = |holds| at += usize::from(if holds { now.yes } else { now.no });
        match now.code {
            LOAD => accumulator = data[now.operand as usize / 4],
            AND => accumulator &= now.operand,
            JUMP => at += now.operand as usize,
            JUMP_EQ => branch(accumulator == now.operand),
            JUMP_GT => branch(accumulator > now.operand),
            JUMP_GE => branch(accumulator >= now.operand),
            RETURN => return now.operand,
            other => panic!("no instruction: {other:#x}"),
        }
    }
}

/// What it says to the call `name` with the arguments.
pub(super) fn call(filter: &Filter, on: Architecture, name: &str, arguments: [u64; 6]) -> u32 {
    run(filter, on.audit(), on.number(name).unwrap(), arguments)
}
