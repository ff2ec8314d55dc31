//! `gpu/nvidia`: gives a container as many of the machine's GPUs as it is promised, each to one
//! container at a time, and the driver's files to images that ask for them as Mesos has it: at
//! `/usr/local/nvidia`.
//!
//! GPUs are found by the nodes of their driver, `/dev/nvidia<minor>`. Which container has which
//! is in its checkpoint. Others cannot open them: that is what `cgroups/devices` is for.

mod devices;
mod driver;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cgroup::Hierarchies;
use crate::isolator::{Draft, Isolation, Isolator, Request, Subject};
use crate::{Error, Resources};

const NAME: &str = "gpu/nvidia";

/// The isolator.
pub(in crate::isolator) struct Nvidia {
    /// Below which the driver's nodes and files are.
    root: PathBuf,
    /// The minor numbers of the GPUs that may be used; `None` is all.
    chosen: Option<BTreeSet<u32>>,
    /// Who has which, by the containers' ids.
    taken: Mutex<BTreeMap<String, BTreeSet<u32>>>,
}

impl Nvidia {
    /// With these flags.
    pub(in crate::isolator) fn new(flags: &Isolation) -> Self {
        Self {
            root: flags.nvidia_root.clone(),
            chosen: flags.nvidia_gpu_devices.clone(),
            taken: Mutex::default(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<u32>>> {
        // Nothing is ever half done under this lock.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `count` GPUs that nobody has for the container `id`.
    fn take(&self, id: &str, count: usize) -> Result<BTreeSet<u32>, Error> {
        let all = devices::gpus(&self.root, self.chosen.as_ref())?;
        let mut taken = self.taken();
        let others: BTreeSet<u32> = taken.values().flatten().copied().collect();
        let free = all.difference(&others).copied();
        let own: BTreeSet<u32> = free.take(count).collect();
        if own.len() < count {
            let reason = format!(
                "{count} are wanted, and of the {} of this machine {} are free",
                all.len(),
                own.len()
            );
            return Err(Error::Spec { field: "resources.gpus", reason });
        }
        taken.insert(id.to_owned(), own.clone());
        Ok(own)
    }
}

/// How many GPUs containers can be given with these flags: `None` without the isolator.
///
/// # Errors
/// [`Error::Unsupported`] when this machine has no driver of them.
pub fn gpus(flags: &Isolation) -> Result<Option<usize>, Error> {
    if !flags.names.split(',').any(|name| name.trim() == NAME) {
        return Ok(None);
    }
    devices::gpus(&flags.nvidia_root, flags.nvidia_gpu_devices.as_ref()).map(|all| Some(all.len()))
}

impl Isolator for Nvidia {
    fn check(&self, _hierarchies: &Hierarchies) -> Result<(), Error> {
        devices::gpus(&self.root, self.chosen.as_ref()).map(drop)
    }

    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        let wanted = request.spec.resources.gpus;
        if wanted > 0 {
            let count = usize::try_from(wanted).unwrap_or(usize::MAX);
            let own = self.take(&request.spec.name(), count)?;
            draft.note(&own)?;
            for (path, inside) in devices::nodes(&self.root, &own) {
                draft.device_at(&path, &inside)?;
            }
        }
        if request.image.is_some_and(driver::needed) {
            driver::give(&self.root, request, draft)?;
        }
        Ok(())
    }

    fn update(&self, subject: &Subject, resources: &Resources) -> Result<(), Error> {
        let own: BTreeSet<u32> = subject.note(NAME)?.unwrap_or_default();
        if usize::try_from(resources.gpus).is_ok_and(|wanted| wanted <= own.len()) {
            return Ok(());
        }
        let reason = format!("a running container gets no more than the {} that it has", own.len());
        Err(Error::Spec { field: "resources.gpus", reason })
    }

    fn cleanup(&self, subject: &Subject) -> Result<(), Error> {
        self.taken().remove(&subject.id);
        Ok(())
    }

    fn forget(&self, id: &str) {
        self.taken().remove(id);
    }

    fn recover(&self, known: &[Arc<Subject>]) -> Result<(), Error> {
        for subject in known {
            if let Some(own) = subject.note::<BTreeSet<u32>>(NAME)? {
                self.taken().insert(subject.id.clone(), own);
            }
        }
        Ok(())
    }
}

/// Where a path of the driver is, below `root`.
fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::ContainerSpec;
    use crate::cgroup::Version;
    use crate::isolator::testing;
    use crate::launch::plan::{Plan, What};

    /// A tree with `count` GPUs, whose nodes are those of /dev/null and cannot be told from a
    /// driver's by looking at them.
    fn tree(count: u32) -> Option<tempfile::TempDir> {
        if !crate::testing::is_root() {
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("dev")).unwrap();
        let gpus = (0..count).map(|minor| format!("nvidia{minor}"));
        for name in gpus.chain(["nvidiactl".into(), "nvidia-uvm".into(), "nvidia-modeset".into()]) {
            let path = root.path().join("dev").join(name);
            let null = rustix::fs::makedev(1, 3);
            let (kind, mode) = (rustix::fs::FileType::CharacterDevice, 0o666.into());
            rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, null).unwrap();
        }
        Some(root)
    }

    fn isolator(root: &Path, chosen: Option<&[u32]>) -> Nvidia {
        Nvidia::new(&Isolation {
            nvidia_root: root.into(),
            nvidia_gpu_devices: chosen.map(|chosen| chosen.iter().copied().collect()),
            ..Isolation::default()
        })
    }

    fn spec(id: &str, gpus: u32) -> ContainerSpec {
        let resources = Resources { gpus, ..Resources::default() };
        ContainerSpec { id: id.into(), resources, ..testing::spec() }
    }

    fn targets(plan: &Plan) -> Vec<String> {
        plan.mounts.iter().map(|mount| mount.target.display().to_string()).collect()
    }

    fn prepared(nvidia: &Nvidia, id: &str, gpus: u32) -> Result<Subject, String> {
        let planned = testing::planned(&[(NAME, nvidia)], &spec(id, gpus), None);
        let (plan, notes) = planned.map_err(|error| error.to_string())?;
        let (_directory, subject) = testing::subject(Version::V2, &[]);
        Ok(Subject { id: id.into(), plan, notes, ..subject })
    }

    #[test]
    fn each_gpu_is_one_containers() {
        let Some(root) = tree(3) else { return };
        let nvidia = isolator(root.path(), None);
        let a = prepared(&nvidia, "a", 2).unwrap();
        let control = ["/dev/nvidiactl", "/dev/nvidia-uvm"];
        assert_eq!(targets(&a.plan), [&["/dev/nvidia0", "/dev/nvidia1"][..], &control].concat());
        assert_eq!(a.plan.devices.len(), 4);
        let What::Host { path, .. } = &a.plan.mounts[0].what else { panic!() };
        assert_eq!(*path, root.path().join("dev/nvidia0"));
        let error = prepared(&nvidia, "b", 2).unwrap_err();
        let expected = "resources.gpus: 2 are wanted, and of the 3 of this machine 1 are free";
        assert_eq!(error, expected);
        let b = prepared(&nvidia, "b", 1).unwrap();
        assert_eq!(targets(&b.plan)[0], "/dev/nvidia2");
        assert!(targets(&prepared(&nvidia, "none", 0).unwrap().plan).is_empty());
        nvidia.forget("b");
        assert_eq!(targets(&prepared(&nvidia, "c", 1).unwrap().plan)[0], "/dev/nvidia2");
        nvidia.cleanup(&a).unwrap();
        assert_eq!(targets(&prepared(&nvidia, "d", 2).unwrap().plan)[0], "/dev/nvidia0");
    }

    #[test]
    fn who_has_which_is_known_after_a_restart() {
        let Some(root) = tree(2) else { return };
        let a = prepared(&isolator(root.path(), None), "a", 1).unwrap();
        let later = isolator(root.path(), None);
        later.recover(&[Arc::new(a.clone())]).unwrap();
        assert_eq!(targets(&prepared(&later, "b", 1).unwrap().plan)[0], "/dev/nvidia1");
        let with = |gpus| Resources { gpus, ..a.resources };
        later.update(&a, &with(1)).unwrap();
        let error = later.update(&a, &with(2)).unwrap_err().to_string();
        assert_eq!(
            error,
            "resources.gpus: a running container gets no more than the 1 that it has"
        );
    }

    #[test]
    fn flags_choose_among_what_there_is() {
        let Some(root) = tree(3) else { return };
        let some = isolator(root.path(), Some(&[1, 2]));
        assert_eq!(targets(&prepared(&some, "a", 1).unwrap().plan)[0], "/dev/nvidia1");
        let count = |names: &str, root: &Path| {
            let (names, nvidia_root) = (names.into(), root.into());
            gpus(&Isolation { names, nvidia_root, ..Isolation::default() })
        };
        assert_eq!(count("cgroups, gpu/nvidia", root.path()).unwrap(), Some(3));
        assert_eq!(count("cgroups,-gpu/nvidia", root.path()).unwrap(), None);
        let error = count("gpu/nvidia", &root.path().join("dev")).unwrap_err().to_string();
        assert!(error.contains("there is no NVIDIA driver: "), "{error}");
        let error = isolator(root.path(), Some(&[5])).take("a", 1).unwrap_err().to_string();
        assert!(error.starts_with("nvidia_gpu_devices: there is no GPU 5; "), "{error}");
    }
}
