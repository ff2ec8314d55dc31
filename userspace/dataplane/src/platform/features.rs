//! What the programs ask of the kernel, beside BTF, bpffs and cgroup v2.
//!
//! Linux 6.1 has all of it. Of an older one each is probed, for there are distributions whose kernels
//! have more than their version says. For some of it there is a way without; what a kernel lacks is a list, and
//! everything that is done otherwise is done by it.

use std::fmt;

use aya::{
    programs::ProgramType,
    sys::{BpfHelper, is_helper_supported},
};

use crate::syscall::load;

/// Something that programs need of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// What it is, as bpf(2) and bpf-helpers(7) call it.
    pub name: &'static str,
    /// The first version of Linux with it.
    pub since: &'static str,
    /// The programs that the kernel refuses without.
    pub programs: &'static [&'static str],
    /// What is different where it is all that the kernel lacks; `None` if VIPs cannot be served by eBPF then.
    pub without: Option<&'static str>,
    pub(crate) need: Need,
}

/// What is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A clock.
    CoarseClock,
    /// The instruction `cmpxchg`.
    Exchange,
    /// XDP programs that take packets in several buffers.
    Fragments,
    /// The error that a system call fails with.
    ErrorNumber,
}

/// What is newer than Linux 5.10, the oldest first.
pub const FEATURES: [Feature; 4] = [
    Feature {
        name: "bpf_ktime_get_coarse_ns",
        since: "5.11",
        programs: &["connect4", "connect6", "forward", "forward_tc", "reply"],
        without: None,
        need: Need::CoarseClock,
    },
    Feature {
        name: "atomic exchange (BPF_CMPXCHG)",
        since: "5.12",
        programs: &[
            "connect4",
            "connect6",
            "handshake",
            "release",
            "forward",
            "forward_tc",
            "reply",
        ],
        without: None,
        need: Need::Exchange,
    },
    Feature {
        name: "XDP in several buffers (BPF_F_XDP_HAS_FRAGS)",
        since: "5.18",
        programs: &["forward"],
        without: Some("packets of other machines to VIPs are met at tc, not by XDP"),
        need: Need::Fragments,
    },
    Feature {
        name: "bpf_set_retval at connect() and sendmsg()",
        since: "6.1",
        programs: &[],
        without: Some("connections to VIPs without backends fail with EPERM, not ECONNREFUSED"),
        need: Need::ErrorNumber,
    },
];

/// What this kernel lacks of what the programs need and Linux 5.10 does not have. What cannot be
/// probed, as without privileges, is taken to be there.
pub fn lacking() -> Vec<Feature> {
    FEATURES.into_iter().filter(|feature| !feature.need.is_met()).collect()
}

/// True if a kernel that lacks these has what is needed.
pub(crate) fn has(lacking: &[Feature], need: Need) -> bool {
    !lacking.iter().any(|feature| feature.need == need)
}

// === impl Feature ===

impl Feature {
    /// What it is, and what is done without it; `None` if nothing is.
    pub(crate) fn consequence(&self) -> Option<String> {
        Some(format!("{self}: {}", self.without?))
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (Linux {})", self.name, self.since)
    }
}

// === impl Need ===

impl Need {
    /// Asks the kernel.
    fn is_met(self) -> bool {
        let calls =
            |helper| is_helper_supported(ProgramType::CgroupSockAddr, helper).unwrap_or(true);
        match self {
            Self::CoarseClock => calls(BpfHelper::BPF_FUNC_ktime_get_coarse_ns),
            Self::ErrorNumber => calls(BpfHelper::BPF_FUNC_set_retval),
            Self::Exchange => load::takes_exchange().unwrap_or(true),
            Self::Fragments => load::takes_fragments().unwrap_or(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feature_is_told_with_its_kernel() {
        let [.., last] = FEATURES;
        assert_eq!(last.to_string(), "bpf_set_retval at connect() and sendmsg() (Linux 6.1)");
    }

    /// Without privileges nothing can be probed, and nothing is said to be lacking.
    #[test]
    fn kernel_is_asked_for_what_its_version_does_not_say() {
        let known = crate::platform::lacking().unwrap();
        let asked = lacking();
        assert!(known.is_empty() || known.len() == asked.len(), "{known:?} {asked:?}");
        for feature in FEATURES {
            assert_eq!(has(&asked, feature.need), feature.need.is_met());
        }
    }
}
