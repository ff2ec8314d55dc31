//! The one server of a bench.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use muster_harness::{NetNs, paths};

use super::site::Site;

/// Its addresses: the backends of each balanced arm.
///
/// Backends differ in nothing but their address. As ports of one address, they would be
/// sockets that the server has to listen at, which is more work for it than the direct
/// arm's one.
pub(super) const SERVERS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(10, 99, 0, 1), Ipv4Addr::new(10, 99, 0, 101), Ipv4Addr::new(10, 99, 0, 102)];

/// The backends at a port.
pub(super) fn backends(port: u16) -> [SocketAddrV4; 3] {
    SERVERS.map(|address| SocketAddrV4::new(address, port))
}

/// Makes its machine.
pub(super) fn machine(site: &Site) -> Result<NetNs> {
    let [first, others @ ..] = SERVERS;
    let netns = site.machine("server", first)?;
    for address in others {
        site.address(&netns, address)?;
    }
    Ok(netns)
}

/// Starts nginx at these ports of it, one process.
pub(super) fn serve(
    site: &Site,
    netns: &NetNs,
    ports: impl IntoIterator<Item = u16>,
) -> Result<()> {
    let ports: Vec<String> =
        ports.into_iter().map(|port| format!("    listen {port} backlog=8192;\n")).collect();
    let ports = ports.concat();
    let page = site.write("index.html", &"x".repeat(612))?;
    let root = page.parent().context("the page is in a directory")?.display().to_string();
    // As root: nobody else may look into the site's directory.
    let configuration = site.write(
        "nginx.conf",
        &format!(
            "user root;\nworker_processes 1;\ndaemon off;\nerror_log stderr crit;\n\
             pid {root}/nginx.pid;\nevents {{ worker_connections 4096; }}\n\
             http {{\n  access_log off;\n  keepalive_requests 100000000;\n  \
             server {{\n{ports}    root {root};\n  }}\n}}\n"
        ),
    )?;
    let mut nginx = Command::new("nginx");
    nginx.arg("-c").arg(&configuration);
    site.start_program(nginx, netns)?;
    Ok(())
}

/// Has datagrams to these ports, at each of its addresses, answered.
pub(super) fn answer(
    site: &Site,
    netns: &NetNs,
    ports: impl IntoIterator<Item = u16>,
) -> Result<()> {
    let mut answer = Command::new(paths::target().join("release/examples/udp_rate"));
    answer.arg("answer").stdin(Stdio::null());
    for port in ports {
        answer.args(backends(port).map(|address| address.to_string()));
    }
    site.start_program(answer, netns)?;
    Ok(())
}
