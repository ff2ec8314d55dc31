//! A compiled filter.

use serde::{Deserialize, Serialize};

/// What a helper loads: a program of the kernel's classic BPF (linux/filter.h).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filter {
    /// `SECCOMP_FILTER_FLAG_…`
    pub(crate) flags: u32,
    /// An instruction each: from the uppermost bits down `code` (16), `jt` (8), `jf` (8) and
    /// `k` (32).
    program: Vec<u64>,
}

/// One instruction: `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// Operation.
    pub(crate) code: u16,
    /// How many to jump over if a comparison holds.
    pub(crate) yes: u8,
    /// How many otherwise.
    pub(crate) no: u8,
    /// Operand.
    pub(crate) operand: u32,
}

impl Filter {
    /// A filter of these instructions.
    pub(crate) fn new(flags: u32, instructions: &[Instruction]) -> Self {
        let pack = |i: &Instruction| {
            u64::from(i.code) << 48
                | u64::from(i.yes) << 40
                | u64::from(i.no) << 32
                | u64::from(i.operand)
        };
        Self { flags, program: instructions.iter().map(pack).collect() }
    }

    /// Its instructions.
    pub(crate) fn instructions(&self) -> impl Iterator<Item = Instruction> {
        #[expect(clippy::cast_possible_truncation, reason = "fields of a word")]
        let unpack = |word: &u64| Instruction {
            code: (word >> 48) as u16,
            yes: (word >> 40) as u8,
            no: (word >> 32) as u8,
            operand: *word as u32,
        };
        self.program.iter().map(unpack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_come_out_as_they_went_in() {
        let instructions = [
            Instruction { code: 0xfedc, yes: 0xba, no: 0x98, operand: 0x7654_3210 },
            Instruction { code: 0, yes: 0, no: 1, operand: u32::MAX },
        ];
        let filter = Filter::new(7, &instructions);
        let text = serde_json::to_string(&filter).unwrap();
        let read: Filter = serde_json::from_str(&text).unwrap();
        assert_eq!(read.instructions().collect::<Vec<_>>(), instructions);
    }
}
