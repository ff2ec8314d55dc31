//! The wire between the machines: a bridge in a namespace of its own.

use std::net::IpAddr;
use std::process::Command;

use crate::command;
use crate::error::Result;
use crate::netns::NetNs;

/// What follows the machines' addresses of IPv4: the length of their network's prefix.
const PREFIX: &str = "/24";

/// The same of IPv6. That nobody else has them needs no waiting for.
const PREFIX6: &str = "/64 nodad";

/// The bridge's namespace and interface.
#[derive(Clone, Debug)]
pub struct Switch {
    netns: NetNs,
}

impl Switch {
    /// Makes the namespace `name` and a bridge in it.
    ///
    /// # Errors
    /// [`crate::Error::System`] or [`crate::Error::Command`] when the kernel refuses.
    pub fn create(name: String) -> Result<Self> {
        let netns = NetNs::create(name)?;
        // Without forwarding delay: there is one bridge, so there can be no loop.
        ip(&netns, "link set lo up\nlink add br0 type bridge forward_delay 0\nlink set br0 up\n")?;
        Ok(Self { netns })
    }

    /// Connects `machine` by an interface `eth0` with `address`; `port` names the bridge's end.
    ///
    /// # Errors
    /// [`crate::Error::Command`] when the kernel refuses.
    pub fn connect(&self, machine: &NetNs, port: &str, address: impl Into<IpAddr>) -> Result<()> {
        let address = address.into();
        let peer = machine.name();
        let prefix = if address.is_ipv4() { PREFIX } else { PREFIX6 };
        ip(
            &self.netns,
            &format!(
                "link add name {port} type veth peer name eth0 netns {peer}\n\
                 link set dev {port} master br0\n\
                 link set dev {port} up\n"
            ),
        )?;
        ip(
            machine,
            &format!("link set lo up\naddress add {address}{prefix} dev eth0\nlink set eth0 up\n"),
        )
    }
}

/// Runs iproute2's commands, a line each, inside `netns`.
fn ip(netns: &NetNs, lines: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(["-batch", "-"]);
    netns.place(&mut command)?;
    command::output_with_input(&mut command, lines.as_bytes()).map(drop)
}
