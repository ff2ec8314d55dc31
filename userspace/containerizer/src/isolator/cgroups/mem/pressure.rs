//! How often memory was scarce, in Mesos' three levels.
//!
//! | | v1 | v2 |
//! |---|---|---|
//! | low | `memory.pressure_level` `low`: something was reclaimed | `memory.events` `high` and `max`: something was reclaimed as a limit was reached |
//! | medium | `medium`: swapping, or pages that are used are reclaimed | not counted |
//! | critical | `critical`: almost nothing can be reclaimed | `oom`: nothing was to be had at the limit |
//!
//! v1 counts into an eventfd for each level, which are read when somebody asks: that takes
//! descriptors, but no thread and no task. The counters begin when the agent does, as in Mesos.

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::cgroup::{Place, Version, file};
use crate::error::At as _;
use crate::{Error, Usage};

/// The levels of v1, in the order of severity.
const LEVELS: [&str; 3] = ["low", "medium", "critical"];

/// The counters of one container in v1.
#[derive(Debug)]
pub(super) struct Pressure([Counter; 3]);

#[derive(Debug)]
struct Counter {
    /// What came since it was read last.
    event: OwnedFd,
    before: u64,
}

impl Pressure {
    /// Counts from now on; `None` where there are no such events.
    pub(super) fn new(place: Place<'_>) -> Result<Option<Self>, Error> {
        let path = place.directory.join("memory.pressure_level");
        if place.version == Version::V2 || !path.exists() {
            return Ok(None);
        }
        // The kernel keeps what it needs: this may be closed.
        let level = File::open(&path).at("open", &path)?;
        let counter = |name: &str| -> Result<Counter, Error> {
            let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
            let event = eventfd(0, flags).at("eventfd for", &path)?;
            let control = place.directory.join("cgroup.event_control");
            let text = format!("{} {} {name}", event.as_raw_fd(), level.as_raw_fd());
            file::write(&control, &text)?;
            Ok(Counter { event, before: 0 })
        };
        let [low, medium, critical] = LEVELS.map(counter);
        Ok(Some(Self([low?, medium?, critical?])))
    }

    /// Adds what was counted.
    pub(super) fn add(&mut self, usage: &mut Usage) -> Result<(), Error> {
        let mut counts = [0; 3];
        for (count, counter) in counts.iter_mut().zip(&mut self.0) {
            *count = counter.read()?;
        }
        let [low, medium, critical] = counts.map(Some);
        usage.mem_low_pressure_counter = low;
        usage.mem_medium_pressure_counter = medium;
        usage.mem_critical_pressure_counter = critical;
        Ok(())
    }
}

impl Counter {
    fn read(&mut self) -> Result<u64, Error> {
        let mut new = [0; 8];
        match rustix::io::read(&self.event, &mut new) {
            Err(Errno::AGAIN) => {}
            read => {
                read.at("read", "eventfd")?;
                self.before = self.before.saturating_add(u64::from_ne_bytes(new));
            }
        }
        Ok(self.before)
    }
}

/// Adds what `memory.events` of v2 has counted since the group was made.
pub(super) fn events(place: Place<'_>, usage: &mut Usage) -> Result<(), Error> {
    let text = file::read(&place.directory.join("memory.events"))?;
    let field = |name| file::field(&text, name);
    usage.mem_low_pressure_counter =
        field("max").map(|max| max.saturating_add(field("high").unwrap_or(0)));
    usage.mem_critical_pressure_counter = field("oom");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Controller;
    use crate::isolator::testing;

    #[test]
    fn what_came_between_two_readings_is_added_up() {
        let files =
            [("c/memory/c/memory.pressure_level", ""), ("c/memory/c/cgroup.event_control", "")];
        let (directory, subject) = testing::subject(Version::V1, &files);
        let place = subject.plan.group.place(Controller::Memory).unwrap();
        let mut pressure = Pressure::new(place).unwrap().unwrap();
        let control = directory.path().join("c/memory/c/cgroup.event_control");
        let control = std::fs::read_to_string(control).unwrap();
        let event = pressure.0[2].event.as_raw_fd();
        assert!(control.starts_with(&format!("{event} ")), "{control}");
        assert!(control.ends_with(" critical"), "{control}");
        let counted = |pressure: &mut Pressure| {
            let mut usage = Usage::default();
            pressure.add(&mut usage).unwrap();
            [
                usage.mem_low_pressure_counter,
                usage.mem_medium_pressure_counter,
                usage.mem_critical_pressure_counter,
            ]
            .map(Option::unwrap)
        };
        assert_eq!(counted(&mut pressure), [0, 0, 0]);
        let happen = |pressure: &Pressure, level: usize, times: u64| {
            rustix::io::write(&pressure.0[level].event, &times.to_ne_bytes()).unwrap();
        };
        happen(&pressure, 0, 3);
        happen(&pressure, 1, 1);
        assert_eq!(counted(&mut pressure), [3, 1, 0]);
        happen(&pressure, 0, 2);
        happen(&pressure, 2, 1);
        assert_eq!(counted(&mut pressure), [5, 1, 1]);
    }

    #[test]
    fn v2_has_two_of_the_levels() {
        let events = "low 9\nhigh 2\nmax 5\noom 1\noom_kill 1\n";
        let (_directory, subject) = testing::subject(Version::V2, &[("c/c/memory.events", events)]);
        let place = subject.plan.group.place(Controller::Memory).unwrap();
        assert!(Pressure::new(place).unwrap().is_none());
        let mut usage = Usage::default();
        super::events(place, &mut usage).unwrap();
        let expected = Usage {
            mem_low_pressure_counter: Some(7),
            mem_critical_pressure_counter: Some(1),
            ..Usage::default()
        };
        assert_eq!(usage, expected);
    }
}
