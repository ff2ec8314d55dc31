//! What a rule asks of a system call's arguments.

use serde::{Deserialize, Deserializer};

/// One comparison of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::seccomp) struct Comparison {
    /// Which argument, from 0.
    #[serde(deserialize_with = "index")]
    pub(in crate::seccomp) index: u8,
    /// What it is compared with; for [`Operator::MaskedEq`] the mask.
    pub(in crate::seccomp) value: u64,
    /// For [`Operator::MaskedEq`], what the masked argument has to be.
    #[serde(default)]
    pub(in crate::seccomp) value_two: u64,
    /// How.
    pub(in crate::seccomp) op: Operator,
}

/// Comparisons, by libseccomp's names; all without sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(in crate::seccomp) enum Operator {
    /// Not equal.
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
    /// Less.
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    /// Less or equal.
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    /// Equal.
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    /// Greater or equal.
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    /// Greater.
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    /// Equal in the bits of a mask.
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEq,
}

fn index<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    match u8::deserialize(from)? {
        index @ 0..=5 => Ok(index),
        other => Err(serde::de::Error::custom(format!("{other} is not 0 to 5"))),
    }
}
