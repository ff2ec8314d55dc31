//! Instruction sets, as far as their system calls are known here.

use syscalls::{aarch64, arm, x86, x86_64};

/// A way to call the kernel. Others that a profile names are none of this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86, which 64-bit kernels run as well.
    X86,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM, which some 64-bit kernels run as well.
    Arm,
}

impl Architecture {
    const ALL: [Self; 4] = [Self::X86_64, Self::X86, Self::Aarch64, Self::Arm];

    /// The one that this program is built for, if it is known.
    pub(super) fn native() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// The one that libseccomp, and with it OCI, calls `name`.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "SCMP_ARCH_X86_64" => Some(Self::X86_64),
            "SCMP_ARCH_X86" => Some(Self::X86),
            "SCMP_ARCH_AARCH64" => Some(Self::Aarch64),
            "SCMP_ARCH_ARM" => Some(Self::Arm),
            _ => None,
        }
    }

    /// What Docker's conditions call it.
    pub(super) fn docker(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::X86 => "x86",
            Self::Aarch64 => "arm64",
            Self::Arm => "arm",
        }
    }

    /// The kernel's `AUDIT_ARCH_…` (linux/audit.h).
    pub(super) fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Whether arguments have 32 bits only.
    pub(super) fn is_narrow(self) -> bool {
        matches!(self, Self::X86 | Self::Arm)
    }

    /// The number of the system call `name`.
    pub(super) fn number(self, name: &str) -> Option<u32> {
        let number = match self {
            Self::X86_64 => name.parse::<x86_64::Sysno>().ok()?.id(),
            Self::X86 => name.parse::<x86::Sysno>().ok()?.id(),
            Self::Aarch64 => name.parse::<aarch64::Sysno>().ok()?.id(),
            Self::Arm => name.parse::<arm::Sysno>().ok()?.id(),
        };
        u32::try_from(number).ok()
    }

    /// Whether any of them has a system call `name`.
    pub(super) fn anywhere(name: &str) -> bool {
        Self::ALL.iter().any(|architecture| architecture.number(name).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_the_numbers_of_their_architecture() {
        let numbers = |name| Architecture::ALL.map(|architecture| architecture.number(name));
        assert_eq!(numbers("ptrace"), [Some(101), Some(26), Some(117), Some(26)]);
        assert_eq!(numbers("open"), [Some(2), Some(5), None, Some(5)]);
        assert_eq!(numbers("no_such_call"), [None; 4]);
        assert_eq!(numbers("bpf")[0], u32::try_from(libc::SYS_bpf).ok());
        assert!(Architecture::anywhere("socketcall") && !Architecture::anywhere("no_such_call"));
    }
}
