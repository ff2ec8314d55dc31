//! `cgroups/mem`: memory that is promised, and a limit.
//!
//! | | v1 | v2 |
//! |---|---|---|
//! | promised | `memory.soft_limit_in_bytes` | `memory.low` |
//! | limit | `memory.limit_in_bytes` | `memory.max` |
//! | with swap, if wanted | `memory.memsw.limit_in_bytes` | `memory.swap.max`: none |
//! | out of memory | `memory.oom_control` | `memory.events`, `memory.events.local`, `memory.oom.group` |
//! | used | `memory.stat`, `memory.max_usage_in_bytes` | `memory.stat`, `memory.peak` |
//! | scarce | `memory.pressure_level` | `memory.events` |
//!
//! That memory has run out is the helper's to find out: it is there when the agent is not.

mod exceeded;
mod pressure;
mod usage;

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cgroup::{Controller, Hierarchies, Place, Version, file};
use crate::error::At as _;
use crate::isolator::{Draft, Isolation, Isolator, Request, Subject, Watch};
use crate::{Error, Limit, Resources, Usage};

pub(crate) use exceeded::exceeded;
use pressure::Pressure;

/// The least limit, as in Mesos: below it hardly anything starts.
const MINIMUM: u64 = 32 << 20;
/// What v1 shows as a limit where there is none: the largest number of whole pages.
const UNLIMITED: u64 = 0x7fff_ffff_ffff_f000;

/// The isolator.
pub(in crate::isolator) struct Mem {
    limit_swap: bool,
    /// The counters of containers in v1.
    pressure: Mutex<HashMap<String, Pressure>>,
}

impl Mem {
    /// With its flags.
    pub(in crate::isolator) fn new(flags: &Isolation) -> Self {
        Self { limit_swap: flags.limit_swap, pressure: Mutex::default() }
    }

    /// Sets the limit of a group that has been under none so far, or raises it. It is never
    /// lowered, as in Mesos: what is in use already would be too much at once.
    fn limit(&self, place: Place<'_>, wanted: Option<u64>, first: bool) -> Result<(), Error> {
        let Place { version, directory } = place;
        let raised = match (limit(place)?, wanted) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(now), Some(wanted)) => wanted > now,
        };
        if !first && !raised {
            return Ok(());
        }
        let write = |name, text: &str| file::write(&directory.join(name), text);
        let text = |none: &str| wanted.map_or(none.to_owned(), |bytes| bytes.to_string());
        match version {
            Version::V2 => {
                if self.limit_swap {
                    write("memory.swap.max", "0")?;
                }
                write("memory.max", &text("max"))
            }
            Version::V1 => {
                let (hard, swap) = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes");
                // At no time may the one with swap be the lower one.
                let order = if raised { [swap, hard] } else { [hard, swap] };
                let names = order.into_iter().filter(|name| *name == hard || self.limit_swap);
                names.into_iter().try_for_each(|name| write(name, &text("-1")))
            }
        }
    }

    fn pressure(&self) -> MutexGuard<'_, HashMap<String, Pressure>> {
        // Nothing is ever half done under this lock.
        self.pressure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, subject: &Subject, resources: &Resources, first: bool) -> Result<(), Error> {
        let place = subject.plan.group.place(Controller::Memory)?;
        let write = |name, text: &str| file::write(&place.directory.join(name), text);
        let promised = resources.mem_bytes.max(MINIMUM);
        let soft = match place.version {
            Version::V1 => "memory.soft_limit_in_bytes",
            Version::V2 => "memory.low",
        };
        write(soft, &promised.to_string())?;
        self.limit(place, hard(resources), first)?;
        if first && place.version == Version::V2 {
            // All of a container or nothing: half of one is of no use.
            write("memory.oom.group", "1")?;
        }
        Ok(())
    }
}

impl Isolator for Mem {
    fn check(&self, hierarchies: &Hierarchies) -> Result<(), Error> {
        let version = hierarchies.require(Controller::Memory)?;
        let swap = hierarchies.directory(Controller::Memory, "memory.memsw.limit_in_bytes");
        if self.limit_swap && version == Version::V1 && !swap.exists() {
            return Err(Error::Unsupported {
                what: "--cgroups-limit-swap: the kernel does not count swap".into(),
                remedy: "boot with swapaccount=1, or leave the flag out".into(),
            });
        }
        Ok(())
    }

    fn controllers(&self) -> &'static [Controller] {
        &[Controller::Memory]
    }

    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        draft.watch_memory();
        let resources = &request.spec.resources;
        // More than is promised is the first to be given back.
        if hard(resources).is_none_or(|hard| hard > resources.mem_bytes.max(MINIMUM)) {
            draft.oom_score(score(resources.mem_bytes, machine_memory()?))?;
        }
        Ok(())
    }

    fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        self.set(subject, &subject.resources, true)
    }

    fn update(&self, subject: &Subject, resources: &Resources) -> Result<(), Error> {
        self.set(subject, resources, false)
    }

    /// Only counts: memory that has run out is the helper's to find out.
    fn watch(&self, subject: &Arc<Subject>) -> Option<Watch> {
        let place = subject.plan.group.place(Controller::Memory).ok()?;
        match Pressure::new(place) {
            Ok(Some(pressure)) => drop(self.pressure().insert(subject.id.clone(), pressure)),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(id = subject.id, %error, "how scarce its memory is is not counted");
            }
        }
        None
    }

    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), Error> {
        let place = subject.plan.group.place(Controller::Memory)?;
        usage::add(place, usage)?;
        match place.version {
            Version::V1 => match self.pressure().get_mut(&subject.id) {
                Some(pressure) => pressure.add(usage),
                None => Ok(()),
            },
            Version::V2 => pressure::events(place, usage),
        }
    }

    fn cleanup(&self, subject: &Subject) -> Result<(), Error> {
        self.pressure().remove(&subject.id);
        Ok(())
    }
}

/// The limit in bytes; `None` if there is to be none.
fn hard(resources: &Resources) -> Option<u64> {
    match resources.mem_limit {
        None => Some(resources.mem_bytes.max(MINIMUM)),
        Some(Limit::At(bytes)) => Some(bytes.max(MINIMUM)),
        Some(Limit::Infinite) => None,
    }
}

/// Mesos' `oom_score_adj` for who may use more than is promised: the more is promised, the
/// later comes its turn.
fn score(promised: u64, machine: u64) -> i32 {
    let promised = u128::from(promised.min(machine)) * 1000 / u128::from(machine.max(1));
    1000 - i32::try_from(promised).unwrap_or(1000)
}

/// All memory of this machine, in bytes.
fn machine_memory() -> Result<u64, Error> {
    let path = "/proc/meminfo";
    let text = fs::read_to_string(path).at("read", path)?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|total| total.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let missing = || std::io::Error::other("no MemTotal");
    kilobytes.map(|kilobytes| kilobytes << 10).ok_or_else(missing).at("read", path)
}

fn limit(place: Place<'_>) -> Result<Option<u64>, Error> {
    match place.version {
        Version::V1 => {
            let limit = file::number(&place.directory.join("memory.limit_in_bytes"))?;
            Ok(limit.filter(|limit| *limit < UNLIMITED))
        }
        Version::V2 => file::number(&place.directory.join("memory.max")),
    }
}

fn max_usage(place: Place<'_>) -> Result<Option<u64>, Error> {
    match place.version {
        Version::V1 => file::number(&place.directory.join("memory.max_usage_in_bytes")),
        Version::V2 => file::optional(&place.directory.join("memory.peak")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolator::testing;

    fn isolator(limit_swap: bool) -> Mem {
        Mem::new(&Isolation { limit_swap, ..Isolation::default() })
    }

    const V1: [&str; 2] = ["memory.soft_limit_in_bytes", "memory.limit_in_bytes"];
    const V2: [&str; 2] = ["memory.low", "memory.max"];

    /// What is promised, and the limit, after the `first` resources and the `others`.
    fn set(version: Version, first: Resources, others: &[Resources]) -> [String; 2] {
        let (_directory, mut subject) = testing::subject(version, &[]);
        let place = subject.plan.group.place(Controller::Memory).unwrap();
        let names = if version == Version::V1 { V1 } else { V2 };
        for (name, text) in names.into_iter().zip(["0", "9223372036854771712"]) {
            fs::write(place.directory.join(name), text).unwrap();
        }
        fs::write(place.directory.join("memory.oom.group"), "0").unwrap();
        subject.resources = first;
        let mem = isolator(false);
        mem.isolate(&subject).unwrap();
        for resources in others {
            mem.update(&subject, resources).unwrap();
        }
        let place = subject.plan.group.place(Controller::Memory).unwrap();
        if version == Version::V2 {
            let group = fs::read_to_string(place.directory.join("memory.oom.group")).unwrap();
            assert_eq!(group, "1");
        }
        names.map(|name| fs::read_to_string(place.directory.join(name)).unwrap())
    }

    fn mb(promised: u64, limit: Option<Limit>) -> Resources {
        let mem_limit = limit.map(|limit| match limit {
            Limit::At(mb) => Limit::At(mb << 20),
            Limit::Infinite => limit,
        });
        Resources { mem_bytes: promised << 20, mem_limit, ..Resources::default() }
    }

    #[test]
    fn what_is_promised_follows_and_the_limit_only_rises() {
        let (at, infinite) = (|mb| Some(Limit::At(mb)), Some(Limit::Infinite));
        for (version, none) in [(Version::V1, "-1"), (Version::V2, "max")] {
            let set = |first, others: &[Resources]| {
                set(version, first, others).map(|text| match text.parse::<u64>() {
                    Ok(bytes) => (bytes >> 20).to_string(),
                    Err(_) => text,
                })
            };
            assert_eq!(set(mb(64, None), &[]), ["64", "64"]);
            assert_eq!(set(mb(1, None), &[]), ["32", "32"], "not less than the least");
            assert_eq!(set(mb(64, at(128)), &[]), ["64", "128"]);
            assert_eq!(set(mb(64, infinite), &[]), ["64", none]);
            assert_eq!(set(mb(64, None), &[mb(96, None)]), ["96", "96"]);
            assert_eq!(set(mb(64, None), &[mb(48, None)]), ["48", "64"]);
            assert_eq!(set(mb(64, None), &[mb(64, infinite)]), ["64", none]);
        }
    }

    #[test]
    fn swap_is_limited_with_memory_and_never_below_it() {
        let (_directory, mut subject) = testing::subject(Version::V1, &[]);
        let place = subject.plan.group.place(Controller::Memory).unwrap();
        let swap = place.directory.join("memory.memsw.limit_in_bytes");
        for name in V1 {
            fs::write(place.directory.join(name), "9223372036854771712").unwrap();
        }
        fs::write(&swap, "").unwrap();
        subject.resources = mb(64, None);
        let mem = isolator(true);
        mem.isolate(&subject).unwrap();
        assert_eq!(fs::read_to_string(&swap).unwrap(), (64 << 20).to_string());
        mem.update(&subject, &mb(65, None)).unwrap();
        assert_eq!(fs::read_to_string(&swap).unwrap(), (65 << 20).to_string());
    }

    #[test]
    fn who_may_use_more_than_is_promised_is_the_first_to_go() {
        assert_eq!(score(0, 1 << 34), 1000);
        assert_eq!(score(1 << 33, 1 << 34), 500);
        assert_eq!(score(1 << 35, 1 << 34), 0);
        let planned = |mem_limit| {
            let resources = Resources { mem_bytes: 64 << 20, mem_limit, ..Resources::default() };
            let spec = crate::ContainerSpec { resources, ..testing::spec() };
            let mem = isolator(false);
            let plan = testing::plan(&[("cgroups/mem", &mem)], &spec, None).unwrap();
            (plan.memory, plan.process.oom_score)
        };
        assert_eq!(planned(None), (true, None));
        assert_eq!(planned(Some(Limit::At(64 << 20))), (true, None));
        assert!((1..1000).contains(&planned(Some(Limit::Infinite)).1.unwrap()));
    }
}
