//! The table of isolators, and which of them a flag chooses.

use std::collections::BTreeSet;

use super::{
    Isolation, Isolator, cgroups, disk, docker, environment_secret, filesystem, gpu, linux,
    namespaces, posix, volume,
};
use crate::Error;
use crate::cgroup::{Controller, Hierarchies};

/// One isolator.
pub(super) struct Row {
    /// Mesos' name.
    pub(super) name: &'static str,
    /// Makes it, with its flags.
    pub(super) make: fn(&Isolation) -> Result<Box<dyn Isolator>, Error>,
    /// Other isolators that it cannot be without.
    needs: &'static [&'static str],
    /// Another isolator that brings it along.
    implied_by: Option<&'static str>,
}

const LINUX: Option<&str> = Some("filesystem/linux");

/// All isolators, in the order in which they work: that of Mesos.
pub(super) const TABLE: &[Row] = &[
    row("filesystem/posix", |_| boxed(filesystem::posix::Posix)),
    row("filesystem/linux", |flags| boxed(filesystem::linux::Linux::new(flags)?)),
    row("posix/cpu", |_| boxed(posix::cpu::Cpu)),
    row("posix/mem", |_| boxed(posix::mem::Mem)),
    Row { implied_by: LINUX, ..row("posix/rlimits", |_| boxed(posix::rlimits::Rlimits)) },
    row("cgroups/cpu", |flags| boxed(cgroups::cpu::Cpu::new(flags))),
    row("cgroups/mem", |flags| boxed(cgroups::mem::Mem::new(flags))),
    row("cgroups/pids", |flags| boxed(cgroups::pids::Pids::new(flags))),
    row("cgroups/blkio", |flags| boxed(cgroups::blkio::Blkio::new(flags))),
    row("cgroups/devices", |_| boxed(cgroups::devices::Devices)),
    row("cgroups/cpuset", |_| boxed(cgroups::cpuset::Cpuset::default())),
    Row {
        needs: &["filesystem/linux"],
        ..row("docker/runtime", |_| boxed(docker::runtime::Runtime))
    },
    part("linux/capabilities", |flags| boxed(linux::capabilities::Capabilities::new(flags)?)),
    part("linux/nnp", |_| boxed(linux::nnp::Nnp)),
    part("namespaces/ipc", |flags| boxed(namespaces::ipc::Ipc::new(flags))),
    part("namespaces/pid", |flags| boxed(namespaces::pid::Pid::new(flags))),
    part("volume/sandbox_path", |_| boxed(volume::sandbox_path::SandboxPath)),
    part("volume/host_path", |_| boxed(volume::host_path::HostPath)),
    part("volume/image", |_| boxed(volume::image::Image)),
    part("volume/secret", |_| boxed(volume::secret::Secret)),
    row("disk/du", |flags| boxed(disk::du::du(flags))),
    row("disk/xfs", |flags| boxed(disk::xfs::xfs(flags))),
    part("linux/seccomp", |flags| boxed(linux::seccomp::Seccomp::new(flags)?)),
    Row {
        needs: &["filesystem/linux", "cgroups/devices"],
        ..row("gpu/nvidia", |flags| boxed(gpu::nvidia::Nvidia::new(flags)))
    },
    row("environment_secret", |_| boxed(environment_secret::EnvironmentSecret)),
];

/// What containers get when nobody says otherwise, beside what that implies.
const DEFAULT: &[&str] =
    &["cgroups/cpu", "cgroups/mem", "cgroups/pids", "filesystem/linux", "docker/runtime"];

/// Mesos' short names.
const ALIASES: &[(&str, &[&str])] = &[
    ("cgroups", &["cgroups/cpu", "cgroups/mem"]),
    ("process", &["posix/cpu", "posix/mem"]),
    ("posix/disk", &["disk/du"]),
];

/// Isolators of Mesos that are not here.
const ABSENT: &[&str] = &[
    "appc/runtime",
    "cgroups/hugetlb",
    "cgroups/net_cls",
    "cgroups/net_prio",
    "cgroups/perf_event",
    "docker/volume",
    "filesystem/shared",
    "filesystem/windows",
    "linux/devices",
    "network/cni",
    "network/port_mapping",
    "network/ports",
    "volume/csi",
];

const fn row(name: &'static str, make: fn(&Isolation) -> Result<Box<dyn Isolator>, Error>) -> Row {
    Row { name, make, needs: &[], implied_by: None }
}

/// A part of what makes a container with a view of files of its own: it comes with that.
const fn part(name: &'static str, make: fn(&Isolation) -> Result<Box<dyn Isolator>, Error>) -> Row {
    Row { name, make, needs: &["filesystem/linux"], implied_by: LINUX }
}

#[expect(clippy::unnecessary_wraps, reason = "a row's flags may be wrong")]
fn boxed(isolator: impl Isolator + 'static) -> Result<Box<dyn Isolator>, Error> {
    Ok(Box::new(isolator))
}

/// The isolators that the text `names` of `--isolation` stands for on this machine, where there are
/// also `externals`.
pub(super) fn choose(
    names: &str,
    externals: &[&'static str],
    hierarchies: &Hierarchies,
) -> Result<BTreeSet<&'static str>, Error> {
    let (mut chosen, mut excluded) = (BTreeSet::new(), BTreeSet::new());
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name.strip_prefix('-') {
            Some(name) => excluded.extend(known(name, externals)?),
            None => chosen.extend(known(name, externals)?),
        }
    }
    if let Some(both) = chosen.intersection(&excluded).next() {
        return refuse(format!("`{both}` is both named and left out"));
    }
    if chosen.is_empty() {
        chosen.extend(DEFAULT);
        // Not every hybrid tree has it; who wants it for certain names it.
        if hierarchies.version(Controller::Pids).is_none() {
            chosen.remove("cgroups/pids");
        }
    }
    chosen.insert("environment_secret");
    match ["filesystem/linux", "filesystem/posix"].map(|name| chosen.contains(name)) {
        [true, true] => {
            return refuse("filesystem/linux and filesystem/posix exclude each other".into());
        }
        [false, false] => drop(chosen.insert("filesystem/posix")),
        _ => {}
    }
    if ["disk/du", "disk/xfs"].iter().all(|name| chosen.contains(name)) {
        return refuse("disk/du and disk/xfs exclude each other".into());
    }
    let implied = |row: &&Row| row.implied_by.is_some_and(|by| chosen.contains(by));
    let implied: Vec<_> = TABLE.iter().filter(implied).map(|row| row.name).collect();
    chosen.extend(implied);
    chosen.retain(|name| !excluded.contains(name));
    for row in TABLE.iter().filter(|row| chosen.contains(row.name)) {
        if let Some(needed) = row.needs.iter().find(|needed| !chosen.contains(*needed)) {
            return refuse(format!("{} cannot be without {needed}", row.name));
        }
    }
    Ok(chosen)
}

/// The isolators that a name or short name stands for.
fn known(name: &str, externals: &[&'static str]) -> Result<Vec<&'static str>, Error> {
    let rows = TABLE.iter().map(|row| row.name).chain(externals.iter().copied());
    if name == "cgroups/all" {
        return Ok(rows.filter(|row| row.starts_with("cgroups/")).collect());
    }
    if let Some((_, names)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        return names.iter().map(|name| known(name, externals)).flat_map(one).collect();
    }
    if let Some(found) = rows.clone().find(|row| *row == name) {
        return Ok(vec![found]);
    }
    let what = if ABSENT.contains(&name) { "not in this version" } else { "no isolator" };
    let names: Vec<_> = rows.collect();
    refuse(format!("`{name}` is {what}; there are {}", names.join(", ")))
}

/// Each of a list, or what is wrong with it.
fn one(names: Result<Vec<&'static str>, Error>) -> Vec<Result<&'static str, Error>> {
    match names {
        Ok(names) => names.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

fn refuse<T>(reason: String) -> Result<T, Error> {
    Err(Error::Config { field: "isolation", reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::{Version, fake};

    fn chosen(names: &str) -> Result<Vec<&'static str>, String> {
        let directory = tempfile::tempdir().unwrap();
        let hierarchies = fake::trees(directory.path(), Version::V1);
        let chosen =
            choose(names, &["external/x"], &hierarchies).map_err(|error| error.to_string())?;
        Ok(TABLE.iter().map(|row| row.name).filter(|name| chosen.contains(name)).collect())
    }

    #[test]
    fn nothing_said_is_a_closed_container() {
        let default = chosen("").unwrap();
        for name in ["cgroups/pids", "linux/nnp", "namespaces/pid", "environment_secret"] {
            assert!(default.contains(&name), "{name} in {default:?}");
        }
        let listed = "docker/runtime,cgroups,filesystem/linux,cgroups/pids";
        assert_eq!(chosen(listed).unwrap(), default, "in whatever order");
    }

    #[test]
    fn what_is_implied_can_be_left_out() {
        let without = chosen("-linux/nnp, -cgroups/pids").unwrap();
        assert!(!without.contains(&"linux/nnp") && !without.contains(&"cgroups/pids"));
        assert!(without.contains(&"linux/capabilities") && without.contains(&"cgroups/cpu"));
        let error = chosen("cgroups/cpu,-cgroups/cpu").unwrap_err();
        assert_eq!(error, "isolation: `cgroups/cpu` is both named and left out");
    }

    #[test]
    fn aliases_stand_for_what_they_do_in_mesos() {
        let few = chosen("cgroups,filesystem/linux").unwrap();
        assert!(few.contains(&"cgroups/cpu") && few.contains(&"cgroups/mem"));
        assert!(!few.contains(&"cgroups/pids") && !few.contains(&"docker/runtime"));
        let all = chosen("cgroups/all,filesystem/linux").unwrap();
        let every = TABLE.iter().filter(|row| row.name.starts_with("cgroups/"));
        assert!(every.clone().count() > 2);
        assert!(every.map(|row| row.name).all(|name| all.contains(&name)), "{all:?}");
    }

    #[test]
    fn there_is_one_kind_of_filesystem() {
        let plain = chosen("process").unwrap();
        assert_eq!(plain, ["filesystem/posix", "posix/cpu", "posix/mem", "environment_secret"]);
        let error = chosen("filesystem/posix,filesystem/linux").unwrap_err();
        assert!(error.ends_with("exclude each other"), "{error}");
        let error = chosen("posix/disk,disk/xfs").unwrap_err();
        assert_eq!(error, "isolation: disk/du and disk/xfs exclude each other");
    }

    #[test]
    fn others_are_refused_with_what_there_is() {
        let error = chosen("cgroups/cpu,network/cni").unwrap_err();
        let expected = "isolation: `network/cni` is not in this version; there are ";
        assert!(error.starts_with(expected) && error.contains("cgroups/mem, "), "{error}");
        let error = chosen("cgroups/gpu").unwrap_err();
        assert!(error.starts_with("isolation: `cgroups/gpu` is no isolator; "), "{error}");
        let error = chosen("namespaces/pid").unwrap_err();
        assert_eq!(error, "isolation: namespaces/pid cannot be without filesystem/linux");
    }

    #[test]
    fn the_table_says_everything_once() {
        let mut names: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
        names.extend(ABSENT);
        names.extend(ALIASES.iter().map(|(alias, _)| *alias));
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(distinct.len(), names.len());
        for (position, row) in TABLE.iter().enumerate() {
            let before = |name: &str| TABLE[..position].iter().any(|row| row.name == name);
            assert!(
                row.needs.iter().all(|name| before(name)),
                "{} comes after what it needs",
                row.name
            );
        }
    }
}
