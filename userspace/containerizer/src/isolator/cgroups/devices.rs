//! `cgroups/devices`: which devices a container may open, whatever nodes it has: those that it
//! is given, and those of Mesos' list. Nodes of all may be made.
//!
//! In v1 `devices.deny` and `devices.allow`; in v2 an eBPF program on its group
//! (`BPF_PROG_TYPE_CGROUP_DEVICE`, Linux 4.15), which goes with that.

mod program;
mod v2;

use crate::Error;
use crate::cgroup::{Controller, Hierarchies, Version, file};
use crate::isolator::{Isolator, Subject};
use crate::launch::plan::{DeviceAccess, DeviceKind};

/// Mesos' list.
const USUAL: [DeviceAccess; 14] = [
    any(DeviceKind::Block),
    any(DeviceKind::Character),
    character(5, Some(1)),
    character(4, Some(0)),
    character(4, Some(1)),
    // Terminals of its own.
    character(136, None),
    character(5, Some(2)),
    character(10, Some(200)),
    character(1, Some(3)),
    character(1, Some(5)),
    character(1, Some(7)),
    character(5, Some(0)),
    character(1, Some(9)),
    character(1, Some(8)),
];

/// The isolator.
pub(in crate::isolator) struct Devices;

impl Isolator for Devices {
    fn check(&self, hierarchies: &Hierarchies) -> Result<(), Error> {
        hierarchies.require(Controller::Devices).map(drop)
    }

    fn controllers(&self) -> &'static [Controller] {
        &[Controller::Devices]
    }

    fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        let place = subject.plan.group.place(Controller::Devices)?;
        let mut allowed = USUAL.to_vec();
        allowed.extend(&subject.plan.devices);
        match place.version {
            Version::V1 => {
                file::write(&place.directory.join("devices.deny"), "a")?;
                let path = place.directory.join("devices.allow");
                allowed.iter().try_for_each(|device| file::write(&path, &device.to_string()))
            }
            Version::V2 => v2::restrict(place.directory, &program::deciding(&allowed)),
        }
    }
}

/// Nodes of all devices of a kind may be made.
const fn any(kind: DeviceKind) -> DeviceAccess {
    DeviceAccess { kind, major: None, minor: None, read: false, write: false, make: true }
}

/// Everything with a character device, or all of a driver.
const fn character(major: u32, minor: Option<u32>) -> DeviceAccess {
    let kind = DeviceKind::Character;
    DeviceAccess { kind, major: Some(major), minor, read: true, write: true, make: true }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;

    use super::*;
    use crate::isolator::testing;

    #[test]
    fn v1_denies_all_and_then_allows() {
        let (directory, subject) = testing::subject(
            Version::V1,
            &[("c/devices/c/devices.deny", ""), ("c/devices/c/devices.allow", "")],
        );
        Devices.isolate(&subject).unwrap();
        let read = |name: &str| {
            fs::read_to_string(directory.path().join("c/devices/c").join(name)).unwrap()
        };
        assert_eq!(read("devices.deny"), "a");
        // Each is a write of its own; the last one is what a plain file shows.
        assert_eq!(read("devices.allow"), "c 1:8 rwm");
    }

    /// A group in this machine's v2 tree; `None` without root.
    struct Group(std::path::PathBuf);

    impl Group {
        fn new() -> Option<Self> {
            if !crate::testing::is_root() {
                return None;
            }
            let name = format!("muster-devices-test-{}", std::process::id());
            let path = Hierarchies::detect().unwrap().unified(&name);
            fs::create_dir(&path).unwrap();
            Some(Self(path))
        }
    }

    impl Drop for Group {
        fn drop(&mut self) {
            fs::remove_dir(&self.0).unwrap();
        }
    }

    /// What a program in `group` makes of opening `path`: its first byte, or the error.
    fn opened(group: &Group, path: &str) -> String {
        // It moves itself there: what is asked is what holds for it from then on.
        let line = format!("echo $$ > {}/cgroup.procs; exec head -c 1 {path}", group.0.display());
        let mut child = std::process::Command::new("/bin/sh")
            .args(["-c", &line])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        child.wait().unwrap();
        errors
    }

    #[test]
    fn v2_decides_by_a_program_in_the_kernel() {
        let Some(group) = Group::new() else { return };
        v2::restrict(&group.0, &program::deciding(&[character(1, Some(5))])).unwrap();
        assert_eq!(opened(&group, "/dev/zero"), "");
        assert!(opened(&group, "/dev/urandom").contains("Operation not permitted"));
        // The next one is what counts beside it: both have to let it through.
        let none = DeviceAccess { read: false, write: false, ..character(1, Some(5)) };
        v2::restrict(&group.0, &program::deciding(&[none])).unwrap();
        assert!(opened(&group, "/dev/zero").contains("Operation not permitted"));
    }

    #[test]
    fn v2_takes_the_usual_list() {
        let Some(group) = Group::new() else { return };
        v2::restrict(&group.0, &program::deciding(&USUAL)).unwrap();
        for path in ["/dev/null", "/dev/zero", "/dev/urandom"] {
            assert_eq!(opened(&group, path), "", "{path}");
        }
        assert!(opened(&group, "/dev/kmsg").contains("Operation not permitted"));
    }
}
