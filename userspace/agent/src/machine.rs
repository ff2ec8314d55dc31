//! What the flags and the machine say together.

use std::path::{Path, PathBuf};

use muster_api::mesos::{Attribute, Resource};
use muster_resources::{Name, Resources, Scalar};
use tonic::transport::{Endpoint, Uri};

use crate::{Config, Error};

/// The master's link port unless the flag names another.
const LINK_PORT: u16 = 5052;
/// Longest name, so that it fits everywhere it is used.
const MAX_NAME: usize = 64;
/// Memory that is left to the system, as Mesos does: a gigabyte, or half of a small machine.
const SYSTEM_MEMORY_MB: u64 = 1024;
/// Ports that are offered unless the flag names others.
const PORTS: &str = "ports:[31000-32000]";

/// The flags, checked, and what they leave open, found out.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) resources: Resources,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) master: Endpoint,
    pub(crate) cgroup: PathBuf,
}

impl Machine {
    /// # Errors
    /// [`Error::Flag`] for the first flag that makes no sense, [`Error::NoCgroup2`].
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        if config.name.is_empty() || config.name.len() > MAX_NAME {
            return Err(flag("name", &config.name, "must have 1 to 64 bytes"));
        }
        if config.hostname.is_empty() {
            return Err(flag("hostname", &config.hostname, "must not be empty"));
        }
        if config.ip.is_unspecified() {
            let problem = "must be the address that other machines reach this one at";
            return Err(flag("ip", &config.ip.to_string(), problem));
        }
        let directories = [
            ("work-dir", &config.work_dir),
            ("runtime-dir", &config.runtime_dir),
            ("image-dir", &config.image_dir),
            ("bpffs", &config.bpffs),
            ("docker-socket", &config.containerizers.socket),
        ];
        for (name, path) in directories {
            if !path.is_absolute() {
                return Err(flag(name, &path.display().to_string(), "must be an absolute path"));
            }
        }
        Ok(Self {
            resources: resources(&config.resources, gpus(config)?)?,
            attributes: attributes(&config.attributes)?,
            master: master(&config.master)?,
            cgroup: cgroup2()?.join(&config.cgroups_root),
        })
    }
}

fn flag(flag: &'static str, value: &str, problem: &str) -> Error {
    Error::Flag { flag, value: value.to_owned(), problem: problem.to_owned() }
}

/// `HOST[:PORT]`, where HOST may be an IPv6 address in brackets.
fn master(value: &str) -> Result<Endpoint, Error> {
    let bad = || flag("master", value, "must be HOST or HOST:PORT, with an IPv6 address in []");
    let uri: Uri = format!("http://{value}").parse().map_err(|_| bad())?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
    let authority = authority.ok_or_else(bad)?;
    let host = authority.host();
    let named = !host.is_empty() && (host.starts_with('[') || !host.contains(':'));
    let plain =
        named && uri.path() == "/" && uri.query().is_none() && !value.ends_with(['/', ':', '?']);
    let has_port = authority.as_str().len() > host.len();
    let port = if has_port { authority.port_u16() } else { Some(LINK_PORT) };
    let port = port.filter(|&port| plain && port > 0).ok_or_else(bad)?;
    Endpoint::from_shared(format!("http://{host}:{port}")).map_err(|_| bad())
}

/// How many GPUs tasks can be given; `None` if that is not for the isolator to say.
fn gpus(config: &Config) -> Result<Option<usize>, Error> {
    Ok(muster_containerizer::gpus(&config.isolation)?)
}

/// What the flag says, and of cpus, mem, ports and `gpus` what it leaves open.
fn resources(value: &str, gpus: Option<usize>) -> Result<Resources, Error> {
    let bad = |error: muster_resources::Error| flag("resources", value, &error.to_string());
    let mut resources = if value.trim().is_empty() {
        Resources::default()
    } else {
        Resources::parse(value).map_err(bad)?
    };
    let given: Vec<Resource> = resources.to_proto();
    let missing = |name: &str| given.iter().all(|resource| resource.name != name);
    let mut found = Vec::new();
    if missing("cpus") {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        found.push(format!("cpus:{cpus}"));
    }
    if missing("mem") {
        let memory = memory_mb()?;
        let system = if memory > 2 * SYSTEM_MEMORY_MB { SYSTEM_MEMORY_MB } else { memory / 2 };
        found.push(format!("mem:{}", memory - system));
    }
    if let Some(there) = gpus {
        if missing("gpus") {
            found.push(format!("gpus:{there}"));
        } else if resources.scalar(Name::GPUS) > Scalar::whole(there as u64) {
            let problem = format!("asks for more GPUs than the {there} that there are");
            return Err(flag("resources", value, &problem));
        }
    }
    if missing("ports") {
        found.push(PORTS.to_owned());
    }
    if !found.is_empty() {
        resources += Resources::parse(&found.join(";")).map_err(bad)?;
    }
    Ok(resources)
}

fn attributes(value: &str) -> Result<Vec<Attribute>, Error> {
    let bad = |error: muster_resources::Error| flag("attributes", value, &error.to_string());
    muster_resources::attributes::parse(value).map_err(bad)
}

fn memory_mb() -> Result<u64, Error> {
    let info = nix::sys::sysinfo::sysinfo()
        .map_err(|errno| Error::System { call: "sysinfo", source: errno.into() })?;
    Ok(info.ram_total() >> 20)
}

/// Where cgroup v2 is mounted.
fn cgroup2() -> Result<PathBuf, Error> {
    let path = Path::new("/proc/self/mountinfo");
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::System { call: "read /proc/self/mountinfo", source })?;
    cgroup2_of(&text).ok_or(Error::NoCgroup2)
}

/// The mount point of the first cgroup2 in a mountinfo (proc(5)).
fn cgroup2_of(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        filesystem.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_make_no_sense() {
        let error = attributes("ok:1;rack").unwrap_err().to_string();
        assert_eq!(error, r#"--attributes "ok:1;rack": "rack": must be NAME:VALUE"#);
    }

    #[test]
    fn the_masters_address() {
        let cases = [
            ("10.0.0.1", "http://10.0.0.1:5052/"),
            ("10.0.0.1:7", "http://10.0.0.1:7/"),
            ("master.mesos", "http://master.mesos:5052/"),
            ("[fe80::1]", "http://[fe80::1]:5052/"),
            ("[fe80::1]:9", "http://[fe80::1]:9/"),
        ];
        for (value, expected) in cases {
            assert_eq!(master(value).unwrap().uri().to_string(), expected);
        }
        for value in
            ["", ":5052", "a b", "h:", "h:0", "h:70000", "h/x", "u@h", "http://h", "h?q", "::1"]
        {
            let error = master(value).unwrap_err().to_string();
            assert!(error.starts_with("--master"), "{value}: {error}");
        }
    }

    #[test]
    fn what_is_not_given_is_found_out() {
        let names = |text: &str| {
            let found = resources(text, None).unwrap().to_proto();
            found.into_iter().map(|r| (r.name, r.scalar.map(|s| s.value))).collect::<Vec<_>>()
        };
        let all = names("");
        for (name, least) in [("cpus", 1.0), ("mem", 64.0)] {
            let found = all.iter().find(|(n, _)| n == name).unwrap();
            assert!(found.1.unwrap() >= least, "{all:?}");
        }
        assert!(all.iter().any(|(name, _)| name == "ports"));
        let gpus = |text: &str, there| {
            let found = resources(text, Some(there)).map(|found| found.scalar(Name::GPUS).as_f64());
            found.map_err(|error| error.to_string())
        };
        assert_eq!((gpus("", 2), gpus("gpus:1", 2)), (Ok(2.0), Ok(1.0)));
        assert!(gpus("gpus:3", 2).unwrap_err().contains("more GPUs than the 2 that there are"));
        let some = names("cpus:2.5;disk:7");
        assert!(some.contains(&("cpus".into(), Some(2.5))), "{some:?}");
        assert!(some.contains(&("disk".into(), Some(7.0))), "{some:?}");
        assert!(resources("cpus:x", None).unwrap_err().to_string().starts_with("--resources"));
    }

    #[test]
    fn cgroup2_is_found_where_it_is_mounted() {
        let hybrid = "25 30 0:23 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu\n\
                      26 30 0:24 / /sys/fs/cgroup/unified rw,relatime shared:5 - cgroup2 none rw\n";
        assert_eq!(cgroup2_of(hybrid), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(cgroup2_of("25 30 0:23 / /sys rw - sysfs sysfs rw\n"), None);
    }
}
