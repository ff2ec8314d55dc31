//! Docker, on a machine of its own.

use std::fs::File;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use muster_harness::command;

use super::bundle;
use super::contestant::{Contestant, Kind, program};
use crate::bench::site::Site;

/// Starts a daemon that ends with the site, with the image, and what asks it.
pub(super) fn start(site: &Site) -> Result<Contestant> {
    let netns = site.machine("docker", Ipv4Addr::new(10, 99, 1, 1))?;
    let directory = site.directory("docker")?;
    let socket = format!("unix://{}/socket", directory.display());
    // Its mounts go with it.
    let mut daemon = Command::new("unshare");
    daemon.args(["--mount", "--propagation", "private", "dockerd"]);
    for (flag, name) in [("--data-root", "root"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
        daemon.arg(flag).arg(directory.join(name));
    }
    daemon.args(["--bridge=none", "--iptables=false", "--host", &socket]);
    daemon.arg("--cgroup-parent").arg(format!("/muster/{}", site.name("docker")));
    let log = File::create(directory.join("log")).context("create docker's log")?;
    daemon.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    site.start_program(daemon, &netns)?;
    let docker = || {
        let mut docker = Command::new("docker");
        docker.args(["--host", &socket]);
        docker
    };
    muster_harness::eventually("an answer of dockerd", Duration::from_mins(1), || {
        command::output(docker().arg("version"))
            .map(drop)
            .map_err(|error| muster_harness::Error::NotYet(error.to_string()))
    })?;
    let archive = directory.join("busybox.tar");
    let root = bundle::root()?;
    command::output(Command::new("tar").arg("-C").arg(root).arg("-cf").arg(&archive).arg("."))?;
    command::output(docker().arg("import").arg(&archive).arg("busybox"))?;
    let mut client = program();
    client.args(["command", "docker", "--host", &socket, "run", "--rm", "--network=host"]);
    client.args(["--security-opt=no-new-privileges", "--cpus=1", "--memory=64m"]);
    client.args(["--pids-limit=1024", "busybox", "/bin/true"]);
    Contestant::start(site, Kind::Docker, client)
}
