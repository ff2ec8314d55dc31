//! Where an agent's data plane lives.

use std::path::PathBuf;

use muster_packet::Policy;

use crate::{Error, Forward};

/// What tells one agent's data plane from another's on the same machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The agent's name: names its folder in bpffs. Not empty, at most 64 bytes.
    pub agent: String,
    /// Where bpffs is mounted, normally `/sys/fs/bpf`.
    pub bpffs: PathBuf,
    /// The cgroup v2 directory whose processes see the VIPs, for example
    /// `/sys/fs/cgroup/unified/muster/a1`. Made if missing.
    pub cgroup: PathBuf,
    /// By what backends are chosen, of VIPs that say nothing else.
    pub policy: Policy,
    /// By what VIPs are served.
    pub backend: VipBackend,
    /// What is done with packets that other machines send to VIPs; if they are forwarded, each VIP has a
    /// Maglev table.
    pub forward: Forward,
}

/// By what VIPs are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VipBackend {
    /// eBPF, unless the kernel lacks what it takes; then NFQUEUE.
    #[default]
    Auto,
    /// eBPF programs on the agent's cgroup. Linux 5.12; all of it from 6.1 on.
    Ebpf,
    /// minuteman's rules: SYNs are queued to the agent. TCP over IPv4; Linux 3.13 and ipset,
    /// iptables, NFQUEUE, conntrack and ctnetlink in it.
    Nfqueue,
}

// === impl VipBackend ===

impl VipBackend {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Ebpf, Self::Nfqueue];

    /// As `--vip-backend` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Ebpf => "ebpf",
            Self::Nfqueue => "nfqueue",
        }
    }
}

// === impl Config ===

impl Config {
    /// `<bpffs>/muster/<agent>`, where everything of this agent is pinned. bpffs takes no
    /// dots in names, so bytes other than letters, digits, `-` and `_` are written `%2e`.
    ///
    /// # Errors
    ///
    /// [`Error::AgentName`].
    pub fn directory(&self) -> Result<PathBuf, Error> {
        if self.agent.is_empty() || self.agent.len() > 64 {
            return Err(Error::AgentName { name: self.agent.clone() });
        }
        Ok(self.bpffs.join("muster").join(pin_name(&self.agent)))
    }
}

/// A name as bpffs takes it: see [`Config::directory`].
pub(crate) fn pin_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            name.push(char::from(byte));
        } else {
            let digit = |value| char::from_digit(value, 16).unwrap_or('0');
            name.extend(['%', digit(u32::from(byte >> 4)), digit(u32::from(byte & 15))]);
        }
    }
    name
}

/// The text of which this is the [`pin_name`].
pub(crate) fn unpin_name(name: &str) -> String {
    let mut text = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                text.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                text.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(agent: &str) -> Result<PathBuf, Error> {
        let policy = Policy::default();
        Config {
            agent: agent.to_owned(),
            bpffs: "/b".into(),
            cgroup: "/c".into(),
            policy,
            backend: VipBackend::default(),
            forward: Forward::default(),
        }
        .directory()
    }

    #[test]
    fn plain_names_are_kept() {
        assert_eq!(directory("a1_x-Y").unwrap(), PathBuf::from("/b/muster/a1_x-Y"));
    }

    #[test]
    fn names_cannot_leave_the_folder_or_collide() {
        assert_eq!(directory("node.dc").unwrap(), PathBuf::from("/b/muster/node%2edc"));
        assert_eq!(directory("..").unwrap(), PathBuf::from("/b/muster/%2e%2e"));
        assert_eq!(directory("a/b").unwrap(), PathBuf::from("/b/muster/a%2fb"));
        assert_ne!(directory("a.b").unwrap(), directory("a%2eb").unwrap());
    }

    #[test]
    fn names_come_back() {
        for text in ["a1", "eth0.7", "%2e", "%", "a%b", "é"] {
            assert_eq!(unpin_name(&pin_name(text)), text);
        }
    }

    #[test]
    fn no_name_is_refused() {
        assert!(matches!(directory(""), Err(Error::AgentName { .. })));
        assert!(matches!(directory(&"x".repeat(65)), Err(Error::AgentName { .. })));
    }
}
