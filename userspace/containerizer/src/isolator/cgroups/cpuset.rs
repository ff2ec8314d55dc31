//! `cgroups/cpuset`: pins containers that are promised whole CPUs to as many, so that their
//! caches stay theirs. They come to lie on those that the fewest are pinned to; while there are
//! enough, no two are pinned to the same one. Other containers run wherever there is room.
//!
//! `cpuset.cpus`, in v1 and v2; in v1 `cpuset.mems` too, without which no task can be in it.
//! Which CPUs are taken the kernel keeps: after a restart it is read from there.

mod list;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cgroup::{Controller, Hierarchies, Place, Version, file, inherit};
use crate::isolator::{Isolator, Subject};
use crate::{Error, Resources, Status};

/// The isolator.
#[derive(Default)]
pub(in crate::isolator) struct Cpuset {
    /// The CPUs of pinned containers, by their ids.
    pinned: Mutex<BTreeMap<String, BTreeSet<u32>>>,
}

impl Cpuset {
    fn pinned(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<u32>>> {
        // Nothing is ever half done under this lock.
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Isolator for Cpuset {
    fn check(&self, hierarchies: &Hierarchies) -> Result<(), Error> {
        hierarchies.require(Controller::Cpuset).map(drop)
    }

    fn controllers(&self) -> &'static [Controller] {
        &[Controller::Cpuset]
    }

    fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        let place = subject.plan.group.place(Controller::Cpuset)?;
        if place.version == Version::V1 {
            inherit(place.directory)?;
        }
        self.update(subject, &subject.resources)
    }

    fn update(&self, subject: &Subject, resources: &Resources) -> Result<(), Error> {
        let place = subject.plan.group.place(Controller::Cpuset)?;
        let available = cpus(&above(place))?;
        let whole = whole(resources.cpus_milli).filter(|whole| *whole <= available.len());
        let mut pinned = self.pinned();
        let before = pinned.remove(&subject.id);
        let path = place.directory.join("cpuset.cpus");
        let Some(whole) = whole else {
            // In v2 none of its own means those above it.
            return match (before, place.version) {
                (None, _) => Ok(()),
                (Some(_), Version::V1) => file::write(&path, &list::text(&available)),
                (Some(_), Version::V2) => file::write(&path, "\n"),
            };
        };
        // What it has it keeps, as far as it goes.
        let chosen = choose(&available, &before.unwrap_or_default(), whole, &pinned);
        file::write(&path, &list::text(&chosen))?;
        pinned.insert(subject.id.clone(), chosen);
        Ok(())
    }

    fn status(&self, subject: &Subject, status: &mut Status) -> Result<(), Error> {
        status.cpus = self.pinned().get(&subject.id).map(list::text);
        Ok(())
    }

    fn cleanup(&self, subject: &Subject) -> Result<(), Error> {
        self.pinned().remove(&subject.id);
        Ok(())
    }

    fn recover(&self, known: &[Arc<Subject>]) -> Result<(), Error> {
        for subject in known {
            let place = subject.plan.group.place(Controller::Cpuset)?;
            let path = place.directory.join("cpuset.cpus");
            // Of one that has ended the group may be gone.
            if !path.exists() {
                continue;
            }
            let (own, all) = (cpus(&path)?, cpus(&above(place))?);
            if !own.is_empty() && own != all {
                self.pinned().insert(subject.id.clone(), own);
            }
        }
        Ok(())
    }
}

/// Where it says which CPUs there are for a group.
fn above(place: Place<'_>) -> PathBuf {
    let above = place.directory.parent().unwrap_or(place.directory);
    above.join(match place.version {
        Version::V1 => "cpuset.cpus",
        Version::V2 => "cpuset.cpus.effective",
    })
}

fn cpus(path: &Path) -> Result<BTreeSet<u32>, Error> {
    let text = file::read(path)?;
    list::parse(&text).ok_or_else(|| Error::Io {
        operation: "parse",
        path: path.to_owned(),
        source: std::io::Error::other(format!("`{}` is no list of CPUs", text.trim())),
    })
}

/// How many whole CPUs that is; `None` unless it is a whole number of them.
fn whole(cpus_milli: u64) -> Option<usize> {
    let whole = usize::try_from(cpus_milli / 1000).ok()?;
    (whole > 0 && cpus_milli.is_multiple_of(1000)).then_some(whole)
}

/// So many of the `available` CPUs: first those of `before`, then those that the fewest others
/// are pinned to.
fn choose(
    available: &BTreeSet<u32>,
    before: &BTreeSet<u32>,
    whole: usize,
    pinned: &BTreeMap<String, BTreeSet<u32>>,
) -> BTreeSet<u32> {
    let taken = |cpu: u32| pinned.values().filter(|cpus| cpus.contains(&cpu)).count();
    let mut order: Vec<u32> = available.iter().copied().collect();
    order.sort_by_key(|cpu| (!before.contains(cpu), taken(*cpu), *cpu));
    order.into_iter().take(whole).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::isolator::testing;

    fn set(text: &str) -> BTreeSet<u32> {
        list::parse(text).unwrap()
    }

    /// A container `id` on a machine of four CPUs.
    fn container(version: Version, id: &str) -> (tempfile::TempDir, Subject) {
        let (directory, mut subject) = testing::subject(version, &[]);
        subject.id = id.into();
        let place = subject.plan.group.place(Controller::Cpuset).unwrap();
        fs::write(above(place), "0-3\n").unwrap();
        fs::write(place.directory.join("cpuset.cpus"), "\n").unwrap();
        if version == Version::V1 {
            fs::write(place.directory.join("cpuset.mems"), "\n").unwrap();
            fs::write(place.directory.parent().unwrap().join("cpuset.mems"), "0\n").unwrap();
        }
        (directory, subject)
    }

    fn read(subject: &Subject) -> String {
        let place = subject.plan.group.place(Controller::Cpuset).unwrap();
        fs::read_to_string(place.directory.join("cpuset.cpus")).unwrap()
    }

    fn given(cpuset: &Cpuset, subject: &mut Subject, cpus_milli: u64) -> String {
        subject.resources.cpus_milli = cpus_milli;
        cpuset.isolate(subject).unwrap();
        read(subject)
    }

    #[test]
    fn whole_cpus_are_pinned_and_apart_from_each_other() {
        for version in [Version::V1, Version::V2] {
            let cpuset = Cpuset::default();
            let containers = ["a", "b", "c", "d"].map(|id| container(version, id));
            let [(_a, mut a), (_b, mut b), (_c, mut c), (_d, mut d)] = containers;
            assert_eq!(given(&cpuset, &mut a, 1000), "0");
            assert_eq!(given(&cpuset, &mut b, 2000), "1-2");
            let none = if version == Version::V1 { "0-3" } else { "\n" };
            assert_eq!(given(&cpuset, &mut c, 1500), none, "no whole number");
            cpuset.cleanup(&a).unwrap();
            assert_eq!(given(&cpuset, &mut c, 2000), "0,3");
            // More is promised than there is: the least taken ones.
            assert_eq!(given(&cpuset, &mut d, 3000), "0-2");
            let mut status = Status::default();
            cpuset.status(&b, &mut status).unwrap();
            assert_eq!(status.cpus.as_deref(), Some("1-2"));
        }
    }

    #[test]
    fn an_update_keeps_what_it_can() {
        for version in [Version::V1, Version::V2] {
            let cpuset = Cpuset::default();
            let [(_a, mut a), (_b, mut b)] = ["a", "b"].map(|id| container(version, id));
            given(&cpuset, &mut a, 1000);
            assert_eq!(given(&cpuset, &mut b, 1000), "1");
            cpuset.cleanup(&a).unwrap();
            let update = |cpus_milli| {
                let resources = Resources { cpus_milli, ..Resources::default() };
                cpuset.update(&b, &resources).unwrap();
                read(&b)
            };
            assert_eq!(update(2000), "0-1");
            assert_eq!(update(1000), "0");
            assert_eq!(update(500), if version == Version::V1 { "0-3" } else { "\n" });
            assert!(cpuset.pinned().is_empty());
            assert_eq!(update(5000), if version == Version::V1 { "0-3" } else { "\n" });
        }
    }

    #[test]
    fn what_is_pinned_is_known_after_a_restart() {
        for version in [Version::V1, Version::V2] {
            let earlier = Cpuset::default();
            let containers = ["a", "b", "c"].map(|id| container(version, id));
            let [(_a, mut a), (_b, mut b), (gone, mut c)] = containers;
            given(&earlier, &mut a, 2000);
            given(&earlier, &mut b, 100);
            given(&earlier, &mut c, 1000);
            drop(gone);
            let later = Cpuset::default();
            later.recover(&[Arc::new(a), Arc::new(b), Arc::new(c)]).unwrap();
            assert_eq!(*later.pinned(), BTreeMap::from([("a".to_owned(), set("0-1"))]));
        }
    }
}
