//! `volume/host_path`: files and directories of the host, without effect of set-user-ID bits
//! and device files in them.

use std::fs;
use std::path::Path;

use procfs::FromBufRead as _;
use procfs::process::{MountInfos, MountOptFields};

use super::target;
use crate::error::At as _;
use crate::isolator::{Draft, Isolator, Request};
use crate::launch::plan::{Attributes, Mount, What};
use crate::{Error, Propagation, VolumeSource};

/// The isolator.
pub(in crate::isolator) struct HostPath;

impl Isolator for HostPath {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        for volume in &request.spec.volumes {
            let VolumeSource::HostPath { path, propagation } = &volume.source else { continue };
            let found = path.canonicalize().map_err(|error| Error::Spec {
                field: "volumes",
                reason: format!("{} on the host: {error}", path.display()),
            })?;
            let mountinfo = "/proc/self/mountinfo";
            if *propagation != Propagation::Private {
                let mounts = fs::read(mountinfo).at("read", mountinfo)?;
                propagates(&mounts, &found, *propagation)?;
            }
            let attributes = Attributes { read_only: volume.read_only, ..Attributes::DATA };
            let what = What::Host {
                path: found,
                beneath: None,
                recursive: true,
                propagation: (*propagation).into(),
            };
            draft.mount(Mount { target: target(request, volume)?, what, attributes })?;
        }
        Ok(())
    }
}

/// Whether mounts can propagate from (and to) where `path` is, by the text of
/// `/proc/self/mountinfo`.
fn propagates(mountinfo: &[u8], path: &Path, wanted: Propagation) -> Result<(), Error> {
    let mounts = MountInfos::from_buf_read(mountinfo).map_err(|error| Error::Unsupported {
        what: format!("/proc/self/mountinfo is not understood: {error}"),
        remedy: "mount proc on /proc".into(),
    })?;
    let above = mounts.into_iter().filter(|mount| path.starts_with(&mount.mount_point));
    // Of several at one place the last one is what is seen.
    let found = above.max_by_key(|mount| mount.mount_point.components().count());
    let Some(mount) = found else { return Ok(()) };
    let (mut shared, mut slave) = (false, false);
    for field in &mount.opt_fields {
        shared |= matches!(field, MountOptFields::Shared(_));
        slave |= matches!(field, MountOptFields::Master(_));
    }
    if shared || slave && wanted == Propagation::HostToContainer {
        return Ok(());
    }
    let point = mount.mount_point.display();
    Err(Error::Spec {
        field: "volumes",
        reason: format!(
            "mounts in {} do not propagate; run: mount --make-shared {point}",
            path.display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolator::testing::{self, plan};
    use crate::launch::plan::Spread;
    use crate::{ContainerSpec, Volume};

    fn planned(volume: Volume, image: bool) -> Result<Mount, String> {
        let spec = ContainerSpec { volumes: vec![volume], ..testing::spec() };
        let image = image.then(|| testing::image("{}"));
        let planned = plan(&[("volume/host_path", &HostPath)], &spec, image.as_ref());
        planned.map(|mut plan| plan.mounts.remove(0)).map_err(|error| error.to_string())
    }

    fn volume(container_path: &str, path: &str) -> Volume {
        Volume {
            container_path: container_path.into(),
            source: VolumeSource::HostPath { path: path.into(), propagation: Propagation::Private },
            read_only: false,
        }
    }

    #[test]
    fn the_hosts_file_is_mounted_where_wanted() {
        let mount = planned(volume("/data", "/proc/self/../version"), true).unwrap();
        let What::Host { path, propagation, .. } = mount.what else { panic!() };
        assert_eq!((path.to_str(), propagation), (Some("/proc/version"), Spread::None));
        assert_eq!(mount.target.to_str(), Some("/data"));
        assert!(mount.attributes.no_devices && mount.attributes.no_suid);
        let read_only = Volume { read_only: true, ..volume("data", "/etc") };
        let mount = planned(read_only, true).unwrap();
        assert_eq!(mount.target.to_str(), Some("/mnt/mesos/sandbox/data"));
        assert!(mount.attributes.read_only);
        let mount = planned(volume("data", "/etc"), false).unwrap();
        assert_eq!(mount.target.to_str(), Some("/work/sandbox/data"));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let error = planned(volume("/data", "/nowhere/at/all"), true).unwrap_err();
        assert!(error.starts_with("volumes: /nowhere/at/all on the host: No such"), "{error}");
        let error = planned(volume("/nowhere/at/all", "/etc"), false).unwrap_err();
        assert_eq!(error, "volumes: /nowhere/at/all is not there, and there is no image");
    }

    #[test]
    fn mounts_propagate_only_where_the_host_lets_them() {
        let table = b"20 1 8:1 / / rw - ext4 /dev/a rw\n\
                      21 20 0:5 / /shared rw shared:9 - tmpfs tmpfs rw\n\
                      22 21 0:6 / /shared/slave rw master:9 - tmpfs tmpfs rw\n";
        let may = |path: &str, wanted| propagates(table, Path::new(path), wanted).is_ok();
        let both = [Propagation::HostToContainer, Propagation::Bidirectional];
        assert_eq!(both.map(|wanted| may("/shared/x", wanted)), [true, true]);
        assert_eq!(both.map(|wanted| may("/shared/slave", wanted)), [true, false]);
        assert_eq!(both.map(|wanted| may("/sharedx", wanted)), [false, false]);
        let error = propagates(table, Path::new("/etc"), both[0]).unwrap_err().to_string();
        assert!(error.ends_with("run: mount --make-shared /"), "{error}");
    }
}
