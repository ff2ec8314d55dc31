//! What the programs ask of the kernel, beside BTF, bpffs and cgroup v2.
//!
//! Linux 6.1 has all of it. Of an older one each is probed, for there are distributions whose kernels
//! have more than their version says.

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
    probe: Probe,
}

#[derive(Clone, Copy, Debug)]
enum Probe {
    /// A helper, called by a program of this kind.
    Helper(ProgramType, BpfHelper),
    /// The instruction `cmpxchg`.
    Exchange,
    /// XDP programs that take packets in several buffers.
    Fragments,
}

/// What is newer than Linux 5.10, the oldest first.
const FEATURES: [Feature; 4] = [
    Feature {
        name: "bpf_ktime_get_coarse_ns",
        since: "5.11",
        programs: &["connect4", "connect6", "forward", "forward_tc", "reply"],
        probe: Probe::Helper(ProgramType::CgroupSockAddr, BpfHelper::BPF_FUNC_ktime_get_coarse_ns),
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
        probe: Probe::Exchange,
    },
    Feature {
        name: "XDP in several buffers (BPF_F_XDP_HAS_FRAGS)",
        since: "5.18",
        programs: &["forward"],
        probe: Probe::Fragments,
    },
    Feature {
        name: "bpf_set_retval at connect() and sendmsg()",
        since: "6.1",
        programs: &["connect4", "connect6", "sendmsg4", "sendmsg6"],
        probe: Probe::Helper(ProgramType::CgroupSockAddr, BpfHelper::BPF_FUNC_set_retval),
    },
];

/// What this kernel lacks of what the programs need and Linux 5.10 does not have. What cannot be
/// probed, as without privileges, is taken to be there.
pub fn lacking() -> Vec<Feature> {
    FEATURES.into_iter().filter(|feature| !feature.probe.succeeds()).collect()
}

// === impl Feature ===

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (Linux {})", self.name, self.since)
    }
}

// === impl Probe ===

impl Probe {
    fn succeeds(self) -> bool {
        match self {
            Self::Helper(kind, helper) => is_helper_supported(kind, helper).unwrap_or(true),
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
    fn kernel_that_serves_vips_lacks_nothing() {
        if crate::platform::check_kernel().is_ok() {
            assert!(lacking().is_empty(), "{:?}", lacking());
        }
    }
}
