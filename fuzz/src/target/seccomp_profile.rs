//! Profiles of system calls: JSON in Docker's format, compiled to BPF.

use muster_containerizer::trial::{self, Instruction};

/// Operations of classic BPF (`linux/bpf_common.h`) that the kernel takes of a filter of system
/// calls and that there is a use for.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const COMPARES: [u16; 3] = [0x15, 0x25, 0x35];
const RETURN: u16 = 0x06;
/// The most instructions (`BPF_MAXINSNS`).
const MOST: usize = 4096;
/// The size of `struct seccomp_data`.
const DATA: u32 = 64;

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let compiled = trial::seccomp(text);
    assert_eq!(trial::seccomp(text), compiled, "it is what it was");
    match compiled {
        Err(reason) => assert!(reason.contains(": "), "the place is not named: {reason}"),
        Ok(program) => {
            assert_accepted(&program);
            for audit in [0xc000_003e, 0x4000_0003, 0xc000_00b7, 0] {
                for number in [0, 1, 56, 59, 165, 321, 450, 0x4000_0001, u32::MAX] {
                    for argument in [0, 1, u64::from(u32::MAX), u64::MAX] {
                        answer(&program, audit, number, argument);
                    }
                }
            }
        }
    }
}

/// What the kernel checks before it takes a filter (`bpf_check_classic`, `seccomp_check_filter`).
fn assert_accepted(program: &[Instruction]) {
    assert!(!program.is_empty() && program.len() <= MOST, "{}", program.len());
    for (at, &(code, yes, no, operand)) in program.iter().enumerate() {
        let left = program.len() - at - 1;
        match code {
            LOAD => assert!(operand % 4 == 0 && operand < DATA),
            AND | RETURN => {}
            JUMP => assert!((operand as usize) < left, "a jump out"),
            _ if COMPARES.contains(&code) => {
                assert!(usize::from(yes) < left && usize::from(no) < left, "a jump out");
            }
            other => unreachable!("no instruction: {other:#x}"),
        }
    }
    assert_eq!(program.last().map(|last| last.0), Some(RETURN));
}

/// Runs it: it comes to an answer, which is one of the kernel's actions.
fn answer(program: &[Instruction], audit: u32, number: u32, argument: u64) {
    let (mut at, mut accumulator) = (0, 0);
    #[expect(clippy::cast_possible_truncation, reason = "halves")]
    let halves = [argument as u32, (argument >> 32) as u32];
    loop {
        let (code, yes, no, operand) = program[at];
        at += 1;
        let mut branch = |holds| at += usize::from(if holds { yes } else { no });
        match code {
            LOAD => {
                accumulator = match operand / 4 {
                    0 => number,
                    1 => audit,
                    2 | 3 => 0,
                    word => halves[word as usize % 2],
                }
            }
            AND => accumulator &= operand,
            JUMP => at += operand as usize,
            0x15 => branch(accumulator == operand),
            0x25 => branch(accumulator > operand),
            0x35 => branch(accumulator >= operand),
            RETURN => {
                let actions = [0, 0x8000_0000, 0x3_0000, 0x5_0000, 0x7ff0_0000, 0x7ffc_0000];
                let action = operand & 0xffff_0000;
                assert!(actions.contains(&action) || action == 0x7fff_0000, "{operand:#x}");
                return;
            }
            other => unreachable!("no instruction: {other:#x}"),
        }
    }
}
