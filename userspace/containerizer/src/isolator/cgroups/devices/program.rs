//! eBPF that decides on devices.
//!
//! Its context is `struct bpf_cgroup_dev_ctx`: `u32 access_type` (kind in the lower half, access
//! in the upper), `u32 major`, `u32 minor`. What it returns is whether the access is allowed.

use crate::launch::plan::{DeviceAccess, DeviceKind};

/// An instruction of eBPF (`struct bpf_insn`), as the kernel has it in memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    code: u8,
    /// Destination in the lower half, source in the upper.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const MOVE: u8 = 0xb4;
const MOVE_REGISTER: u8 = 0xbc;
const JUMP_UNLESS_EQUAL: u8 = 0x56;
const EXIT: u8 = 0x95;

/// `BPF_DEVCG_DEV_…` and `BPF_DEVCG_ACC_…`.
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;
const MAKE: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;

/// The program that allows what one of `allowed` allows as a whole, and nothing else.
pub(super) fn deciding(allowed: &[DeviceAccess]) -> Vec<Instruction> {
    let mut program = vec![
        at(LOAD_WORD, KIND, CONTEXT, 0),
        word(MOVE_REGISTER, ACCESS, KIND, 0),
        word(AND, KIND, 0, 0xffff),
        word(SHIFT_RIGHT, ACCESS, 0, 16),
        at(LOAD_WORD, MAJOR, CONTEXT, 4),
        at(LOAD_WORD, MINOR, CONTEXT, 8),
    ];
    for device in allowed {
        program.extend(rule(device));
    }
    program.extend([word(MOVE, RESULT, 0, 0), word(EXIT, 0, 0, 0)]);
    program
}

/// Allows what `device` allows; else what comes after it is next.
fn rule(device: &DeviceAccess) -> Vec<Instruction> {
    let kind = match device.kind {
        DeviceKind::Block => BLOCK,
        DeviceKind::Character => CHARACTER,
    };
    let access = [(device.make, MAKE), (device.read, READ), (device.write, WRITE)];
    let allowed: i32 = access.iter().filter(|(may, _)| *may).map(|(_, bit)| bit).sum();
    let mut conditions = vec![vec![word(JUMP_UNLESS_EQUAL, KIND, 0, kind)]];
    if allowed != MAKE + READ + WRITE {
        // None of what is asked for may be among the rest.
        conditions.push(vec![
            word(MOVE_REGISTER, SCRATCH, ACCESS, 0),
            word(AND, SCRATCH, 0, !allowed),
            word(JUMP_UNLESS_EQUAL, SCRATCH, 0, 0),
        ]);
    }
    for (register, number) in [(MAJOR, device.major), (MINOR, device.minor)] {
        if let Some(number) = number {
            let same = word(JUMP_UNLESS_EQUAL, register, 0, number.cast_signed());
            conditions.push(vec![same]);
        }
    }
    let mut rule: Vec<Instruction> = conditions.concat();
    rule.extend([word(MOVE, RESULT, 0, 1), word(EXIT, 0, 0, 0)]);
    let length = rule.len();
    for (index, instruction) in rule.iter_mut().enumerate() {
        if instruction.code == JUMP_UNLESS_EQUAL {
            // A rule has at most eight instructions.
            instruction.offset = i16::try_from(length - index - 1).unwrap_or(i16::MAX);
        }
    }
    rule
}

/// An instruction on a word, with an immediate.
fn word(code: u8, target: u8, source: u8, immediate: i32) -> Instruction {
    Instruction { code, registers: target | source << 4, offset: 0, immediate }
}

/// An instruction on memory, with an offset.
fn at(code: u8, target: u8, source: u8, offset: i16) -> Instruction {
    Instruction { code, registers: target | source << 4, offset, immediate: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program, as far as these go, for an access to a device.
    fn allows(program: &[Instruction], kind: i32, access: i32, major: i32, minor: i32) -> bool {
        let context = [kind | access << 16, major, minor];
        let mut registers = [0_i32; 11];
        let mut next = 0;
        loop {
            let Instruction { code, registers: names, offset, immediate } = program[next];
            let (target, source) = (usize::from(names & 0xf), usize::from(names >> 4));
            next += 1;
            match code {
                LOAD_WORD => registers[target] = context[usize::try_from(offset).unwrap() / 4],
                MOVE => registers[target] = immediate,
                MOVE_REGISTER => registers[target] = registers[source],
                AND => registers[target] &= immediate,
                SHIFT_RIGHT => registers[target] >>= immediate,
                JUMP_UNLESS_EQUAL if registers[target] != immediate => {
                    next += usize::try_from(offset).unwrap();
                }
                JUMP_UNLESS_EQUAL => {}
                EXIT => return registers[0] == 1,
                other => panic!("{other:#x}"),
            }
        }
    }

    #[test]
    fn a_rule_is_of_kind_access_and_numbers() {
        let device = DeviceAccess {
            kind: DeviceKind::Character,
            major: Some(1),
            minor: Some(3),
            read: true,
            write: false,
            make: true,
        };
        let all_of_a_driver = DeviceAccess { major: Some(9), minor: None, write: true, ..device };
        let program = deciding(&[device, all_of_a_driver]);
        let character = |access, major, minor| allows(&program, CHARACTER, access, major, minor);
        assert!(character(READ, 1, 3) && character(MAKE, 1, 3) && character(READ | MAKE, 1, 3));
        assert!(!character(WRITE, 1, 3) && !character(READ | WRITE, 1, 3));
        assert!(!character(READ, 1, 4) && !character(READ, 2, 3));
        assert!(character(READ | WRITE, 9, 77));
        assert!(!allows(&program, BLOCK, READ, 1, 3));
        assert!(!allows(&deciding(&[]), CHARACTER, READ, 1, 3));
    }
}
