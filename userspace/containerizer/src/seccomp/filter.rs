//! A compiled filter.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a helper loads: a program of the kernel's classic BPF (linux/filter.h).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filter {
    /// `SECCOMP_FILTER_FLAG_…`
    pub(crate) flags: u32,
    /// An instruction each: from the uppermost bits down `code` (16), `jt` (8), `jf` (8) and
    /// `k` (32).
    #[serde(serialize_with = "write", deserialize_with = "read")]
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

/// As one string: it is most of a plan, and numbers would take three times as long.
fn write<S: Serializer>(program: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
    let bytes: Vec<u8> = program.iter().flat_map(|word| word.to_le_bytes()).collect();
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn read<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    let text = <std::borrow::Cow<'a, str>>::deserialize(deserializer)?;
    let bytes = STANDARD.decode(&*text).map_err(D::Error::custom)?;
    let (words, []) = bytes.as_chunks() else {
        return Err(D::Error::custom("half an instruction"));
    };
    Ok(words.iter().map(|word| u64::from_le_bytes(*word)).collect())
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
        for wrong in ["AAAAAAAAAAA", "AAAA", "?"] {
            let text = format!(r#"{{"flags":7,"program":"{wrong}"}}"#);
            assert!(serde_json::from_str::<Filter>(&text).is_err(), "{wrong}");
        }
    }
}
