//! Building the machines of a cluster.

use std::fmt::Display;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::{Cluster, MASTER, Options, address};
use crate::cgroup::Cgroup;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::instance::Instance;
use crate::machine::Machine;
use crate::netns::NetNs;
use crate::switch::Switch;
use crate::{bpffs, paths, sweep};

/// Most agents that the addresses are enough for.
const MOST: usize = 200;

/// What all machines of a cluster have in common.
struct Site {
    switch: Switch,
    cgroup: Cgroup,
    binary: PathBuf,
    logs: PathBuf,
    work: PathBuf,
}

pub(super) fn machines(options: &Options) -> Result<Cluster> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => paths::muster()?,
    };
    let mut instance = Instance::claim(&options.name)?;
    match assemble(&mut instance, options, binary) {
        Ok((master, agents)) => Ok(Cluster { instance, master, agents, stopped: false }),
        Err(error) => {
            // The first error counts; what can not be removed now is swept by the next claim.
            let _ = instance.release();
            Err(error)
        }
    }
}

fn assemble(
    instance: &mut Instance,
    options: &Options,
    binary: PathBuf,
) -> Result<(Machine, Vec<Machine>)> {
    if !(1..=MOST).contains(&options.agents) {
        return Err(Error::Unexpected {
            what: format!("{} agents", options.agents),
            reason: format!("must be 1 to {MOST}"),
        });
    }
    if bpffs::mount_if_missing()? {
        instance.mounted_bpffs()?;
    }
    let id = instance.id().to_owned();
    let work = instance.work().to_owned();
    let logs = work.join("logs");
    directory(&logs)?;
    let switch = Switch::create(format!("{id}-switch"))?;
    let cgroup = Cgroup::create(&sweep::daemons(&id))?;
    let site = Site { switch, cgroup, binary, logs, work };

    let master = address(MASTER, options.ipv6);
    let machine = site.machine(&id, "m", master, master_flags)?;
    let agents: Result<Vec<Machine>> = (1..=options.agents)
        .map(|number| {
            let last = u8::try_from(10 + number).unwrap_or(u8::MAX);
            let own = address(last, options.ipv6);
            site.machine(&id, &format!("a{number}"), own, |place| {
                agent_flags(&id, place, master, options)
            })
        })
        .collect();
    Ok((machine, agents?))
}

/// What decides about the flags of a machine's daemon.
struct Place<'a> {
    hostname: &'a str,
    address: IpAddr,
    work: PathBuf,
}

impl Site {
    fn machine(
        &self,
        id: &str,
        hostname: &str,
        address: IpAddr,
        flags: impl FnOnce(&Place<'_>) -> Vec<String>,
    ) -> Result<Machine> {
        let netns = NetNs::create(format!("{id}-{hostname}"))?;
        self.switch.connect(&netns, hostname, address)?;
        let work = self.work.join(hostname);
        let place = Place { hostname, address, work: work.clone() };
        let daemon = Daemon::new(
            hostname,
            &self.binary,
            flags(&place),
            netns.clone(),
            self.cgroup.clone(),
            self.logs.join(format!("{hostname}.log")),
        );
        Ok(Machine { hostname: hostname.to_owned(), netns, address, work, daemon })
    }
}

fn master_flags(place: &Place<'_>) -> Vec<String> {
    let mut flags = vec!["master".to_owned()];
    flag(&mut flags, "--ip", place.address);
    flag(&mut flags, "--hostname", place.hostname);
    flag(&mut flags, "--work-dir", place.work.display());
    flags
}

fn agent_flags(id: &str, place: &Place<'_>, master: IpAddr, options: &Options) -> Vec<String> {
    let name = format!("{id}-{}", place.hostname);
    let mut flags = vec!["agent".to_owned()];
    match master {
        IpAddr::V4(master) => flag(&mut flags, "--master", master),
        IpAddr::V6(master) => flag(&mut flags, "--master", format!("[{master}]")),
    }
    flag(&mut flags, "--ip", place.address);
    flag(&mut flags, "--hostname", place.hostname);
    flag(&mut flags, "--name", &name);
    flag(&mut flags, "--work-dir", place.work.join("work").display());
    flag(&mut flags, "--runtime-dir", place.work.join("run").display());
    flag(&mut flags, "--image-dir", options.images.display());
    flag(&mut flags, "--resources", &options.resources);
    flag(&mut flags, "--cgroups-root", format!("muster/{name}"));
    flags
}

fn flag(flags: &mut Vec<String>, name: &str, value: impl Display) {
    flags.extend([name.to_owned(), value.to_string()]);
}

fn directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::system("mkdir", path.display().to_string()))
}
