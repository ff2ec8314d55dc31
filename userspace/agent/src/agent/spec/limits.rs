//! What a task may use.

use muster_api::mesos::{Resource, TaskInfo};
use muster_containerizer::{Limit, Resources};

use super::Invalid;

/// The least share of a CPU a container is given, in thousandths, as in Mesos.
const MIN_CPUS_MILLI: u64 = 10;
const CPUS: f64 = 1000.0;
const MEGABYTE: f64 = 1_048_576.0;

/// The resources of a task and its limits. Beside Mesos' `cpus` and `mem` there is the limit
/// `pids`, of tasks in its container.
pub(super) fn resources(info: &TaskInfo) -> Result<Resources, Invalid> {
    let mut resources = Resources {
        cpus_milli: scalar(info, "cpus", CPUS).max(MIN_CPUS_MILLI),
        mem_bytes: scalar(info, "mem", MEGABYTE),
        disk_bytes: disk(&info.resources),
        gpus: gpus(scalar_of(info, "gpus"))?,
        ..Resources::default()
    };
    for (name, limit) in &info.limits {
        let refuse = |problem: &str| Err(Invalid::new(format!("limits.{name}"), problem));
        let (slot, factor, least) = match name.as_str() {
            "cpus" => (&mut resources.cpus_limit, CPUS, resources.cpus_milli),
            "mem" => (&mut resources.mem_limit, MEGABYTE, resources.mem_bytes),
            "pids" => (&mut resources.pids_limit, 1.0, 1),
            _ => return refuse("is not supported by this agent"),
        };
        let value = limit.value;
        if value.is_nan() || value <= 0.0 {
            return refuse("is not more than 0");
        }
        if value < scalar_of(info, name) {
            return refuse("is less than the task's resource of that name");
        }
        *slot = Some(match value {
            f64::INFINITY => Limit::Infinite,
            // Too little to be told apart from the least there is.
            value => Limit::At(units(value, factor).max(least)),
        });
    }
    Ok(resources)
}

/// GPUs, which nobody can have a part of.
fn gpus(wanted: f64) -> Result<u32, Invalid> {
    if wanted.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&wanted) {
        return Err(Invalid::new(
            "resources.gpus",
            format!("must be a whole number, not {wanted}"),
        ));
    }
    Ok(u32::try_from(units(wanted, 1.0)).unwrap_or(u32::MAX))
}

/// What is promised to a container that these are for, without limits beyond.
pub(crate) fn promised<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Resources {
    let resources: Vec<&Resource> = resources.into_iter().collect();
    let (mut cpus, mut mem, mut gpus) = (0.0, 0.0, 0.0);
    for resource in &resources {
        let value = resource.scalar.map_or(0.0, |scalar| scalar.value);
        match resource.name.as_str() {
            "cpus" => cpus += value,
            "mem" => mem += value,
            "gpus" => gpus += value,
            _ => {}
        }
    }
    Resources {
        cpus_milli: units(cpus, CPUS).max(MIN_CPUS_MILLI),
        mem_bytes: units(mem, MEGABYTE),
        disk_bytes: disk(resources),
        gpus: u32::try_from(units(gpus, 1.0)).unwrap_or(u32::MAX),
        ..Resources::default()
    }
}

/// What there is for the sandbox: of `disk`, what is no volume or disk of its own. Who has none
/// is not limited.
fn disk<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Option<u64> {
    let disks = resources.into_iter().filter(|resource| resource.name == "disk");
    let common = disks.filter(|resource| {
        resource.disk.as_ref().is_none_or(|disk| {
            disk.persistence.is_none() && disk.volume.is_none() && disk.source.is_none()
        })
    });
    let scalars: Vec<f64> =
        common.filter_map(|resource| resource.scalar).map(|scalar| scalar.value).collect();
    (!scalars.is_empty()).then(|| units(scalars.into_iter().sum(), MEGABYTE))
}

/// The sum of a scalar resource.
fn scalar_of(info: &TaskInfo, name: &str) -> f64 {
    let named = info.resources.iter().filter(|resource| resource.name == name);
    named.filter_map(|resource| resource.scalar).map(|scalar| scalar.value).sum()
}

/// The sum of a scalar resource, in units of `1 / factor`.
fn scalar(info: &TaskInfo, name: &str, factor: f64) -> u64 {
    units(scalar_of(info, name), factor)
}

fn units(value: f64, factor: f64) -> u64 {
    // A cast from a float saturates, and no negative or infinite amount passes the
    // comparison with what the agent has.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    {
        (value * factor).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::resource::DiskInfo;
    use muster_api::mesos::resource::disk_info::Persistence;
    use muster_api::mesos::value::Scalar;

    use super::*;
    use crate::agent::testing::{self, scalar};

    #[test]
    fn resources_are_promised() {
        let made = |info| {
            let resources = resources(&info).unwrap();
            (resources.cpus_milli, resources.mem_bytes)
        };
        assert_eq!(made(testing::task("t")), (500, 64 << 20));
        let disk = |resources| {
            self::resources(&TaskInfo { resources, ..testing::task("t") }).unwrap().disk_bytes
        };
        assert_eq!(disk(vec![scalar("cpus", 1.0)]), None);
        assert_eq!(disk(vec![scalar("disk", 5.0), scalar("disk", 0.5)]), Some(11 << 19));
        let mut volume = scalar("disk", 7.0);
        volume.disk = Some(DiskInfo {
            persistence: Some(Persistence { id: "p".into(), principal: None }),
            ..DiskInfo::default()
        });
        assert_eq!(disk(vec![volume]), None, "a volume is no part of the sandbox");
        let gpus = |value| {
            let info = TaskInfo { resources: vec![scalar("gpus", value)], ..testing::task("t") };
            resources(&info).map(|found| found.gpus).map_err(|invalid| invalid.to_string())
        };
        assert_eq!(gpus(2.0), Ok(2));
        assert_eq!(gpus(0.5), Err("resources.gpus must be a whole number, not 0.5".into()));
        let resources = vec![scalar("cpus", 0.1), scalar("mem", 32.0), scalar("cpus", 0.05)];
        assert_eq!(made(TaskInfo { resources, ..testing::task("t") }), (150, 32 << 20));
        let resources = Vec::new();
        assert_eq!(made(TaskInfo { resources, ..testing::task("t") }), (10, 0));
    }

    fn limited(limits: &[(&str, f64)]) -> Result<Resources, String> {
        let limits = limits.iter().map(|(name, value)| ((*name).into(), Scalar { value: *value }));
        let info = TaskInfo { limits: limits.collect(), ..testing::task("t") };
        resources(&info).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn limits_are_not_below_what_is_promised() {
        let none = limited(&[]).unwrap();
        assert_eq!((none.cpus_limit, none.mem_limit, none.pids_limit), (None, None, None));
        let some = limited(&[("cpus", 1.5), ("mem", f64::INFINITY), ("pids", 100.0)]).unwrap();
        assert_eq!(some.cpus_limit, Some(Limit::At(1500)));
        assert_eq!(some.mem_limit, Some(Limit::Infinite));
        assert_eq!(some.pids_limit, Some(Limit::At(100)));
        let equal = limited(&[("mem", 64.0)]).unwrap();
        assert_eq!(equal.mem_limit, Some(Limit::At(64 << 20)));
    }

    #[test]
    fn limits_that_make_no_sense_are_refused_by_name() {
        for (name, value, problem) in [
            ("cpus", 0.4, "is less than the task's resource of that name"),
            ("mem", f64::NAN, "is not more than 0"),
            ("pids", 0.0, "is not more than 0"),
            ("disk", 10.0, "is not supported by this agent"),
        ] {
            assert_eq!(limited(&[(name, value)]), Err(format!("limits.{name} {problem}")));
        }
    }
}
