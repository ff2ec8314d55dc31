//! What a container must not do whatever its profile says.

use super::{Filter, Profile, Surroundings};
use crate::CapabilitySet;

/// Forbids (`EPERM`) to change to which project of a filesystem a file belongs, and whether what
/// is made in a directory belongs to that one's: by `FS_IOC_FSSETXATTR`, `FS_IOC_SETFLAGS`, its
/// number for programs of 32 bits, and `file_setattr(2)`, Linux 6.17. Owners of files may do that,
/// and would be out of their quota; in a user namespace the kernel refuses it itself. The number
/// of an ioctl has 32 bits. Other flags of files go with it, such as those of chattr(1).
const PROJECTS: &str = r#"{
    "defaultAction": "SCMP_ACT_ALLOW",
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}
    ],
    "syscalls": [
        {"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
            {"index": 1, "value": 4294967295, "valueTwo": 1075599392, "op": "SCMP_CMP_MASKED_EQ"},
            {"index": 1, "value": 4294967295, "valueTwo": 1074292226, "op": "SCMP_CMP_MASKED_EQ"},
            {"index": 1, "value": 4294967295, "valueTwo": 1074030082, "op": "SCMP_CMP_MASKED_EQ"}
        ]},
        {"names": ["file_setattr"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
    ]
}"#;

/// The filter that keeps a container's files in their project. An error says what of the machine
/// is not known here.
pub(crate) fn projects() -> Result<Filter, String> {
    let profile = Profile::parse(PROJECTS).map_err(|error| error.to_string())?;
    let filter = profile.compile(&Surroundings::here(CapabilitySet::ALL)?);
    filter.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::architecture::Architecture::{X86, X86_64};
    use crate::seccomp::simulation::call;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn files_stay_in_their_project() {
        let filter = projects().unwrap();
        let forbidden = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
        let asked = |on, number: u64| call(&filter, on, "ioctl", [3, number, 0, 0, 0, 0]);
        for on in [X86_64, X86] {
            // FS_IOC_FSSETXATTR, FS_IOC_SETFLAGS and FS_IOC32_SETFLAGS (linux/fs.h).
            for number in [0x401c_5820, 0x4008_6602, 0x4004_6602] {
                assert_eq!(asked(on, number), forbidden, "{number:x}");
                // The kernel takes the lower half alone.
                assert_eq!(asked(on, number | 1 << 40), forbidden, "{number:x}");
            }
            // FS_IOC_FSGETXATTR, FS_IOC_GETFLAGS, TCGETS.
            for number in [0x801c_581f, 0x8008_6601, 0x5401] {
                assert_eq!(asked(on, number), libc::SECCOMP_RET_ALLOW, "{number:x}");
            }
            assert_eq!(call(&filter, on, "file_setattr", [0; 6]), forbidden);
            assert_eq!(call(&filter, on, "openat", [0; 6]), libc::SECCOMP_RET_ALLOW);
        }
    }
}
