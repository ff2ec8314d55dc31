//! Profiles: JSON in Docker's format, which OCI's and Mesos' are subsets of.

mod action;
mod comparison;
mod condition;

use std::fs;
use std::path::Path;

use serde::Deserialize;

pub(super) use action::Action;
pub(super) use comparison::{Comparison, Operator};
pub(super) use condition::{Condition, kernel};

/// Docker's default profile, as documented at docs.docker.com/engine/security/seccomp: some
/// 60 of Linux' system calls are refused, more of them without the capability for them.
const DEFAULT: &str = include_str!("default.json");

/// A profile. A system call that no rule is about gets the default action.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Profile {
    pub(super) default_action: Action,
    #[serde(default)]
    pub(super) default_errno_ret: Option<u16>,
    #[serde(default)]
    pub(super) architectures: Option<Vec<String>>,
    #[serde(default)]
    pub(super) arch_map: Option<Vec<Family>>,
    #[serde(default)]
    pub(super) flags: Option<Vec<Flag>>,
    #[serde(default)]
    pub(super) syscalls: Option<Vec<Rule>>,
}

/// An architecture, and others that its kernels run as well.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Family {
    pub(super) architecture: String,
    #[serde(default)]
    pub(super) sub_architectures: Option<Vec<String>>,
}

/// What becomes of some system calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rule {
    /// The old form of `names`.
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) names: Vec<String>,
    pub(super) action: Action,
    #[serde(default)]
    pub(super) errno_ret: Option<u16>,
    #[serde(default)]
    pub(super) args: Option<Vec<Comparison>>,
    #[serde(default, rename = "comment")]
    _comment: Option<String>,
    /// When the rule is one.
    #[serde(default)]
    pub(super) includes: Option<Condition>,
    /// When it is none.
    #[serde(default)]
    pub(super) excludes: Option<Condition>,
}

/// Flags of seccomp(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Flag {
    /// For all threads: a command has one when its filter is loaded.
    #[serde(rename = "SECCOMP_FILTER_FLAG_TSYNC")]
    Tsync,
    /// Logs whatever is not allowed.
    #[serde(rename = "SECCOMP_FILTER_FLAG_LOG")]
    Log,
    /// Leaves speculative store bypass as it is.
    #[serde(rename = "SECCOMP_FILTER_FLAG_SPEC_ALLOW")]
    SpecAllow,
}

/// What is wrong with a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub(crate) struct ProfileError {
    /// The place in the JSON: `syscalls[3].args[0].op`.
    pub(crate) at: String,
    /// What is wrong there.
    pub(crate) problem: String,
}

impl Profile {
    /// Docker's default.
    pub(crate) fn docker() -> Result<Self, ProfileError> {
        Self::parse(DEFAULT)
    }

    /// The profile in a file.
    pub(crate) fn read(path: &Path) -> Result<Self, ProfileError> {
        let text = fs::read_to_string(path)
            .map_err(|error| ProfileError { at: "the file".into(), problem: error.to_string() })?;
        Self::parse(&text)
    }

    /// The profile that `text` is.
    pub(crate) fn parse(text: &str) -> Result<Self, ProfileError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let profile = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            ProfileError { at: error.path().to_string(), problem: error.into_inner().to_string() }
        })?;
        json.end().map_err(|error| ProfileError {
            at: "behind the profile".into(),
            problem: error.to_string(),
        })?;
        Ok(profile)
    }
}

impl Rule {
    /// The calls that it is about, each with its place.
    pub(super) fn calls(&self) -> impl Iterator<Item = (String, &str)> {
        let single = self.name.iter().map(|name| ("name".into(), name.as_str()));
        let several = self.names.iter().enumerate();
        single.chain(several.map(|(index, name)| (format!("names[{index}]"), name.as_str())))
    }
}

#[cfg(test)]
pub(super) fn parse(text: &str) -> Result<Profile, String> {
    Profile::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let refused = |text: &str| parse(text).unwrap_err();
        let at = |text: &str, at: &str| {
            let error = refused(text);
            assert!(error.starts_with(at), "{error}");
        };
        at("{}", ".: missing field `defaultAction`");
        at(r#"{"defaultAction":"ALLOW"}"#, "defaultAction: unknown variant `ALLOW`");
        at(r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#, "defaultAction: unknown variant");
        let first = r#"{"names":["bpf"],"action":"SCMP_ACT_KILL"}"#;
        let rule = |rule: &str| {
            format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{first},{rule}]}}"#)
        };
        at(&rule(r#"{"names":["bpf"]}"#), "syscalls[1]: missing field `action`");
        let args = r#"{"name":"bpf","action":"SCMP_ACT_LOG","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}"#;
        at(&rule(args), "syscalls[1].args[0].index: ");
        let op = args.replace('6', "5").replace("_EQ", "_IS");
        at(&rule(&op), "syscalls[1].args[0].op: unknown variant `SCMP_CMP_IS`");
        let caps = r#"{"name":"bpf","action":"SCMP_ACT_LOG","includes":{"caps":["CAP_BPF_"]}}"#;
        at(&rule(caps), "syscalls[1].includes.caps: `CAP_BPF_` is no capability");
        let kernel = r#"{"name":"bpf","action":"SCMP_ACT_LOG","excludes":{"minKernel":"x.2"}}"#;
        at(&rule(kernel), "syscalls[1].excludes.minKernel: `x.2` is no version");
        at(&rule(r#"{"name":"bpf","act":1}"#), "syscalls[1].act: unknown field `act`");
        at(r#"{"defaultAction":"SCMP_ACT_ALLOW"}}"#, "behind the profile: ");
    }

    #[test]
    fn a_file_that_is_not_there_is_said_to_be() {
        let error = Profile::read(Path::new("/no/profile")).unwrap_err().to_string();
        assert_eq!(error, "the file: No such file or directory (os error 2)");
    }
}
