//! From which address a translated connection comes.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::{Ipv4Addr, UdpSocket},
    time::{Duration, Instant},
};

/// How long a route's source address is remembered.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Source addresses of the routes to backends.
#[derive(Default)]
pub(super) struct Sources {
    known: RefCell<HashMap<Ipv4Addr, (Ipv4Addr, Instant)>>,
}

// === impl Sources ===

impl Sources {
    /// Which source address a connection gets; `None` if it keeps the client's. minuteman's
    /// rule:
    ///
    /// | client | backend | source |
    /// |---|---|---|
    /// | here | here | 127.0.0.1 |
    /// | elsewhere | here | the client's |
    /// | any | elsewhere | that of the route to the backend, so that its answers come back here |
    pub(super) fn of(
        &self,
        client: Ipv4Addr,
        client_is_here: bool,
        backend: Ipv4Addr,
    ) -> io::Result<Option<Ipv4Addr>> {
        let source = self.route_source(backend)?;
        // To reach oneself, one has the address that is reached.
        let is_here = source == backend || backend.is_loopback();
        let source = match (client_is_here, is_here) {
            (true, true) => Some(Ipv4Addr::LOCALHOST),
            (false, true) => None,
            (_, false) => Some(source),
        };
        Ok(source.filter(|source| *source != client))
    }

    fn route_source(&self, to: Ipv4Addr) -> io::Result<Ipv4Addr> {
        let mut known = self.known.borrow_mut();
        let now = Instant::now();
        if let Some((source, until)) = known.get(&to)
            && *until > now
        {
            return Ok(*source);
        }
        known.retain(|_, (_, until)| *until > now);
        let source = ask_route(to)?;
        known.insert(to, (source, now + REMEMBERED));
        Ok(source)
    }
}

/// Nothing is sent: connecting a UDP socket only chooses the route.
fn ask_route(to: Ipv4Addr) -> io::Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((to, 9))?;
    match socket.local_addr()?.ip() {
        std::net::IpAddr::V4(address) => Ok(address),
        std::net::IpAddr::V6(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_is_minutemans() {
        let sources = Sources::default();
        let client = Ipv4Addr::new(10, 0, 0, 1);
        let here = Ipv4Addr::LOCALHOST;
        assert_eq!(sources.of(client, true, here).unwrap(), Some(Ipv4Addr::LOCALHOST));
        assert_eq!(sources.of(client, false, here).unwrap(), None);
        assert_eq!(sources.of(Ipv4Addr::LOCALHOST, true, here).unwrap(), None);
    }
}
