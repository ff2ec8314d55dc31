//! Notice of interfaces and addresses that come and go.

use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
    },
};
use tokio::io::unix::AsyncFd;

use crate::{Error, syscall};

/// Tells when interfaces or addresses of this machine may have changed: rtnetlink's groups of links
/// and addresses.
#[derive(Debug)]
pub struct InterfaceEvents(AsyncFd<OwnedFd>);

// === impl InterfaceEvents ===

impl InterfaceEvents {
    /// Begins to listen. Within tokio's runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Call`].
    pub fn listen() -> Result<Self, Error> {
        const RTMGRP_LINK: u32 = 1;
        const RTMGRP_IPV4_IFADDR: u32 = 0x10;
        const RTMGRP_IPV6_IFADDR: u32 = 0x100;
        let call = |call| move |errno: Errno| Error::Call { call, source: errno.into() };
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkRoute,
        )
        .map_err(call("socket"))?;
        let groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups)).map_err(call("bind"))?;
        let socket = syscall::net::watch(socket);
        Ok(Self(socket.map_err(|source| Error::Call { call: "epoll_ctl", source })?))
    }

    /// Resolves when something has changed since it last did. What has is for the caller to look at.
    ///
    /// # Errors
    ///
    /// [`Error::Call`].
    pub async fn changed(&self) -> Result<(), Error> {
        let mut ready =
            self.0.readable().await.map_err(|source| Error::Call { call: "epoll_wait", source })?;
        let mut message = [0; 4096];
        loop {
            match recv(self.0.as_raw_fd(), &mut message, MsgFlags::empty()) {
                // Too many to be told is one as well.
                Ok(_) | Err(Errno::ENOBUFS | Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    ready.clear_ready();
                    return Ok(());
                }
                Err(errno) => return Err(Error::Call { call: "recv", source: errno.into() }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use nix::{
        sched::{CloneFlags, unshare},
        unistd::geteuid,
    };

    use super::*;

    #[test]
    fn new_address_is_noticed() {
        if !geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let events = InterfaceEvents::listen().unwrap();
            let added =
                Command::new("ip").args(["addr", "add", "10.9.9.9/32", "dev", "lo"]).status();
            assert!(added.unwrap().success());
            events.changed().await.unwrap();
        });
    }
}
