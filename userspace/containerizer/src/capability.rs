//! Capabilities by name, capabilities(7).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The names, by number, as in Linux 6.18.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities: bit N is capability N.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilitySet(u64);

/// The sets of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Capabilities {
    /// What root has of them.
    pub(crate) effective: CapabilitySet,
    /// What exec can give at most.
    pub(crate) bounding: CapabilitySet,
    /// Whether another user than root has the effective ones too.
    pub(crate) ambient: bool,
}

impl CapabilitySet {
    /// What Docker leaves root in a container.
    pub const DOCKER: Self = Self(0xa804_25fb);

    /// All that there are, or may be.
    pub(crate) const ALL: Self = Self(u64::MAX);

    /// Bit N is capability N.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// What is in both.
    pub(crate) const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is here and not in `other`; `None` if that is nothing.
    pub(crate) const fn without(self, other: Self) -> Option<Self> {
        match self.0 & !other.0 {
            0 => None,
            excess => Some(Self(excess)),
        }
    }
}

/// `NET_RAW,CHOWN`, with or without `CAP_`, in any case; or Mesos' form of it,
/// `{"capabilities":["NET_RAW","CHOWN"]}`.
impl FromStr for CapabilitySet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Info {
            capabilities: Vec<String>,
        }
        if text.trim_start().starts_with('{') {
            let info: Info = serde_json::from_str(text).map_err(|error| error.to_string())?;
            return info.capabilities.join(",").parse();
        }
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(number).try_fold(Self::default(), |set, number| Ok(Self(set.0 | 1 << number?)))
    }
}

impl fmt::Display for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for bit in (0..64).filter(|bit| self.0 & 1 << bit != 0) {
            match NAMES.get(bit) {
                Some(name) => write!(f, "{separator}{name}")?,
                None => write!(f, "{separator}{bit}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

fn number(name: &str) -> Result<usize, String> {
    let upper = name.to_ascii_uppercase();
    let plain = upper.strip_prefix("CAP_").unwrap_or(&upper);
    let found = NAMES.iter().position(|known| *known == plain);
    found.ok_or_else(|| format!("`{name}` is no capability of Linux"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        let set: CapabilitySet = "net_raw, CAP_CHOWN,BPF".parse().unwrap();
        assert_eq!(set.bits(), 1 << 13 | 1 | 1 << 39);
        assert_eq!(set.to_string(), "CHOWN,NET_RAW,BPF");
        assert_eq!("".parse(), Ok(CapabilitySet::default()));
        let json = r#"{"capabilities":["NET_RAW","CHOWN","BPF"]}"#;
        assert_eq!(json.parse(), Ok(set));
        assert!(r#"{"capability":[]}"#.parse::<CapabilitySet>().is_err());
        let error = "CHOWN,NET_ROW".parse::<CapabilitySet>().unwrap_err();
        assert_eq!(error, "`NET_ROW` is no capability of Linux");
        assert_eq!(CapabilitySet(1 << 50).to_string(), "50");
    }

    #[test]
    fn dockers_are_fourteen() {
        assert_eq!(
            CapabilitySet::DOCKER.to_string(),
            "CHOWN,DAC_OVERRIDE,FOWNER,FSETID,KILL,SETGID,SETUID,SETPCAP,NET_BIND_SERVICE,NET_RAW,\
             SYS_CHROOT,MKNOD,AUDIT_WRITE,SETFCAP"
        );
    }
}
