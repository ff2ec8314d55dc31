//! Connections to where a task may listen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use tokio::net::{TcpSocket, TcpStream};

use crate::Family;

/// Connects to `port` of a task in the network `namespace`; `None` is the agent's, in which the
/// machine has the address `own`. As in Mesos, loopback is tried; then, for a server that is bound
/// to one of the other addresses only, those of the namespace.
pub(super) async fn connect(
    namespace: Option<OwnedFd>,
    family: Family,
    own: IpAddr,
    port: u16,
) -> Result<(TcpStream, SocketAddr), String> {
    let sockets = match namespace {
        None => sockets(candidates(family, vec![own], port)),
        Some(namespace) => within(namespace, family, port).await,
    };
    let mut errors = Vec::new();
    for (address, socket) in sockets.map_err(|error| format!("no socket: {error}"))? {
        match socket.connect(address).await {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => errors.push(format!("connect to {address}: {error}")),
        }
    }
    Err(errors.join("; "))
}

/// Where to connect to, in this order.
type Sockets = std::io::Result<Vec<(SocketAddr, TcpSocket)>>;

/// A socket for each address, in the network namespace of the calling thread.
fn sockets(addresses: Vec<SocketAddr>) -> Sockets {
    let make = |address: SocketAddr| {
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(family, SockType::Stream, flags, None)?;
        Ok((address, TcpSocket::from_std_stream(socket.into())))
    };
    addresses.into_iter().map(make).collect()
}

/// The same in another network namespace, in which a socket then stays. No process is needed for
/// that, and no thread for longer than it takes to make them.
async fn within(namespace: OwnedFd, family: Family, port: u16) -> Sockets {
    let (sender, made) = tokio::sync::oneshot::channel();
    // A thread of its own, which ends in that namespace: no other work may ever run there.
    std::thread::Builder::new().name("probe".into()).spawn(move || {
        let make = || {
            setns(&namespace, CloneFlags::CLONE_NEWNET)?;
            let usable = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_LOOPBACK;
            let interfaces =
                getifaddrs()?.filter(|i| i.flags.intersection(usable) == InterfaceFlags::IFF_UP);
            let addresses = interfaces.filter_map(|interface| {
                let address = interface.address?;
                let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
                v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
            });
            sockets(candidates(family, addresses.collect(), port))
        };
        // Nobody waits any more after the check's own time.
        let _ = sender.send(make());
    })?;
    made.await.unwrap_or_else(|_| Err(std::io::ErrorKind::Interrupted.into()))
}

/// Loopback, then the others of the family. Those of a link alone would need its name.
fn candidates(family: Family, others: Vec<IpAddr>, port: u16) -> Vec<SocketAddr> {
    let loopback = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let usable = |address: &IpAddr| match address {
        IpAddr::V4(_) => family == Family::V4,
        IpAddr::V6(v6) => family == Family::V6 && !v6.is_unicast_link_local(),
    };
    let others = others.into_iter().filter(|own| usable(own) && *own != loopback);
    [loopback].into_iter().chain(others).map(|address| SocketAddr::new(address, port)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::Command;

    use nix::sched::unshare;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    /// An address of loopback that is not the usual one.
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 77, 0, 1));

    #[tokio::test]
    async fn a_server_on_the_machines_address_alone_is_found() {
        let listener = std::net::TcpListener::bind((OTHER, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        connect(None, Family::V4, OTHER, port).await.unwrap();
        let error = connect(None, Family::V4, LOOPBACK, port).await.unwrap_err();
        assert!(error.starts_with(&format!("connect to 127.0.0.1:{port}: ")), "{error}");
    }

    /// A network namespace with the address 10.66.7.1 beside loopback, and servers there: ports
    /// of loopback, of loopback by IPv6, and of that address.
    fn elsewhere() -> (OwnedFd, [u16; 3], Vec<std::net::TcpListener>) {
        std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            for arguments in [
                "link set lo up",
                "link add probed type veth peer name other",
                "addr add 10.66.7.1/24 dev probed",
                "link set probed up",
                "link set other up",
            ] {
                let done = Command::new("ip").args(arguments.split(' ')).status().unwrap();
                assert!(done.success(), "ip {arguments}");
            }
            let listeners: Vec<_> = ["127.0.0.1:0", "[::1]:0", "10.66.7.1:0"]
                .into_iter()
                .map(|address| std::net::TcpListener::bind(address).unwrap())
                .collect();
            let ports: Vec<u16> =
                listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
            let namespace = File::open("/proc/thread-self/ns/net").unwrap();
            (namespace.into(), ports.try_into().unwrap(), listeners)
        })
        .join()
        .unwrap()
    }

    #[tokio::test]
    async fn servers_of_another_namespace_are_found_there_and_not_here() {
        if !nix::unistd::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "namespaces need root");
            return eprintln!("skipped: namespaces need root");
        }
        let before = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let (namespace, [loopback, v6, own], _listeners) = elsewhere();
        let there = || Some(namespace.try_clone().unwrap());
        let found = async |family, port| connect(there(), family, LOOPBACK, port).await;
        let (stream, address) = found(Family::V4, loopback).await.unwrap();
        assert_eq!(address.to_string(), format!("127.0.0.1:{loopback}"));
        assert_eq!(stream.peer_addr().unwrap(), address);
        let (_, address) = found(Family::V6, v6).await.unwrap();
        assert_eq!(address.to_string(), format!("[::1]:{v6}"));
        let (_, address) = found(Family::V4, own).await.unwrap();
        assert_eq!(address.to_string(), format!("10.66.7.1:{own}"));
        let error = found(Family::V6, own).await.unwrap_err();
        assert!(error.starts_with(&format!("connect to [::1]:{own}: ")), "{error}");
        // The agent's own threads are where they were.
        assert_eq!(std::fs::read_link("/proc/thread-self/ns/net").unwrap(), before);
    }

    #[test]
    fn each_family_has_its_own_addresses() {
        let v6: IpAddr = "fd00::1".parse().unwrap();
        let shown = |family, own: &[IpAddr]| {
            let found = candidates(family, own.to_vec(), 1);
            found.iter().map(SocketAddr::to_string).collect::<Vec<_>>()
        };
        assert_eq!(shown(Family::V4, &[OTHER]), ["127.0.0.1:1", "127.77.0.1:1"]);
        assert_eq!(shown(Family::V4, &[LOOPBACK]), ["127.0.0.1:1"]);
        assert_eq!(shown(Family::V4, &[v6]), ["127.0.0.1:1"]);
        assert_eq!(shown(Family::V6, &[v6, OTHER]), ["[::1]:1", "[fd00::1]:1"]);
        assert_eq!(shown(Family::V6, &["fe80::1".parse().unwrap()]), ["[::1]:1"]);
    }
}
