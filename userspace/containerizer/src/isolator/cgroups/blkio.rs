//! `cgroups/blkio`: reads and writes of block devices: a share, limits, and what was done.
//!
//! | | v1 | v2 |
//! |---|---|---|
//! | share | `blkio.bfq.weight` | `io.weight`, or `io.bfq.weight` |
//! | limits | `blkio.throttle.{read,write}_{bps,iops}_device` | `io.max` |
//! | done | `blkio.throttle.io_service_bytes`, `.io_serviced` | `io.stat` |

mod done;

use std::path::Path;

use crate::cgroup::{Controller, Hierarchies, Version, file};
use crate::isolator::{Draft, Isolation, Isolator, Request, Subject};
use crate::{BlockIo, Error, Throttle, Usage};

const NAME: &str = "cgroups/blkio";

/// The isolator.
pub(in crate::isolator) struct Blkio {
    /// For containers that have nothing of their own.
    usual: BlockIo,
}

impl Blkio {
    /// With its flags.
    pub(in crate::isolator) fn new(flags: &Isolation) -> Self {
        Self { usual: flags.block_io.clone() }
    }
}

impl Isolator for Blkio {
    fn check(&self, hierarchies: &Hierarchies) -> Result<(), Error> {
        hierarchies.require(Controller::Blkio).map(drop)
    }

    fn controllers(&self) -> &'static [Controller] {
        &[Controller::Blkio]
    }

    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        draft.note(request.spec.block_io.as_ref().unwrap_or(&self.usual))
    }

    fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        let Some(wanted) = subject.note::<BlockIo>(NAME)? else { return Ok(()) };
        let place = subject.plan.group.place(Controller::Blkio)?;
        if let Some(weight) = wanted.weight {
            share(place.directory, place.version, weight)?;
        }
        wanted.throttles.iter().try_for_each(|limit| match place.version {
            Version::V1 => throttle_v1(place.directory, limit),
            Version::V2 => {
                let text = limit.to_string();
                // A device alone is no limit, and no line that the kernel takes.
                if text.contains(' ') {
                    file::write(&place.directory.join("io.max"), &text)?;
                }
                Ok(())
            }
        })
    }

    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), Error> {
        usage.block_io = done::read(subject.plan.group.place(Controller::Blkio)?)?;
        Ok(())
    }
}

/// Sets the share. Which file there is depends on the kernel's configuration.
fn share(directory: &Path, version: Version, weight: u16) -> Result<(), Error> {
    let names: &[&str] = match version {
        Version::V1 => &["blkio.bfq.weight", "blkio.weight"],
        Version::V2 => &["io.weight", "io.bfq.weight"],
    };
    let found = names.iter().map(|name| directory.join(name)).find(|path| path.exists());
    let Some(path) = found else {
        return Err(Error::Unsupported {
            what: format!(
                "the kernel shares no block devices: no weight in {}",
                directory.display()
            ),
            remedy: "use a kernel with CONFIG_BFQ_GROUP_IOSCHED, or give no weight".into(),
        });
    };
    file::write(&path, &weight.to_string())
}

fn throttle_v1(directory: &Path, limit: &Throttle) -> Result<(), Error> {
    for (name, value) in [
        ("read_bps", limit.read_bytes),
        ("write_bps", limit.write_bytes),
        ("read_iops", limit.read_operations),
        ("write_iops", limit.write_operations),
    ] {
        if let Some(value) = value {
            let path = directory.join(format!("blkio.throttle.{name}_device"));
            file::write(&path, &format!("{} {value}", limit.device))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::ContainerSpec;
    use crate::isolator::testing;

    fn isolator() -> Blkio {
        let block_io = BlockIo { weight: Some(7), throttles: Vec::new() };
        Blkio::new(&Isolation { block_io, ..Isolation::default() })
    }

    /// What `names` of a container's group hold after it has got `block_io`.
    fn limited(
        version: Version,
        names: &[&str],
        block_io: BlockIo,
    ) -> Result<BTreeMap<String, String>, String> {
        let blkio = isolator();
        let spec = ContainerSpec { block_io: Some(block_io), ..testing::spec() };
        let (_, notes) = testing::planned(&[(NAME, &blkio)], &spec, None).unwrap();
        let (_directory, mut subject) = testing::subject(version, &[]);
        subject.notes = notes;
        let place = subject.plan.group.place(Controller::Blkio).unwrap();
        for name in names {
            fs::write(place.directory.join(name), "").unwrap();
        }
        blkio.isolate(&subject).map_err(|error| error.to_string())?;
        let read = |name: &&str| {
            ((*name).to_owned(), fs::read_to_string(place.directory.join(name)).unwrap())
        };
        Ok(names.iter().map(read).filter(|(_, text)| !text.is_empty()).collect())
    }

    fn wanted(throttle: &str) -> BlockIo {
        BlockIo { weight: Some(300), throttles: vec![throttle.parse().unwrap()] }
    }

    #[test]
    fn v1_has_a_file_for_each_limit() {
        let names = [
            "blkio.bfq.weight",
            "blkio.throttle.read_bps_device",
            "blkio.throttle.write_bps_device",
            "blkio.throttle.read_iops_device",
            "blkio.throttle.write_iops_device",
        ];
        let written = limited(Version::V1, &names, wanted("8:0 rbps=1000 wiops=5")).unwrap();
        let expected = [
            ("blkio.bfq.weight", "300"),
            ("blkio.throttle.read_bps_device", "8:0 1000"),
            ("blkio.throttle.write_iops_device", "8:0 5"),
        ];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(written, expected.into());
        let error = limited(Version::V1, &[], wanted("8:0")).unwrap_err();
        assert!(error.contains("give no weight"), "{error}");
    }

    #[test]
    fn v2_has_one_for_all() {
        let names = ["io.weight", "io.max"];
        let written = limited(Version::V2, &names, wanted("8:0 rbps=1000 wiops=5")).unwrap();
        assert_eq!(written["io.weight"], "300");
        assert_eq!(written["io.max"], "8:0 rbps=1000 wiops=5");
        let written = limited(Version::V2, &["io.bfq.weight", "io.max"], wanted("8:0")).unwrap();
        let expected = [("io.bfq.weight".to_owned(), "300".to_owned())];
        assert_eq!(written, expected.into());
    }

    #[test]
    fn who_says_nothing_has_what_the_flags_say() {
        let planned = testing::planned(&[(NAME, &isolator())], &testing::spec(), None);
        assert_eq!(planned.unwrap().1[NAME]["weight"], 7);
    }
}
