//! Addresses of named VIPs.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::phash2::phash2;

/// First address given out, `min_named_ip`.
const MIN: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 0);
/// Last address given out, `max_named_ip`.
const MAX: Ipv4Addr = Ipv4Addr::new(11, 255, 255, 254);

/// No address can be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Every address of the range has a name.
    #[error("no address is left for {0}: all of {MIN} to {MAX} are taken")]
    Exhausted(String),
    /// A stored assignment contradicts another, or lies outside the range.
    #[error("stored VIP {name} cannot have {address}: taken, or not in {MIN} to {MAX}")]
    Conflict {
        /// The service whose assignment is bad.
        name: String,
        /// The address it claims.
        address: Ipv4Addr,
    },
}

/// Which named service ([`super::service`]) has which address.
///
/// The first choice is the name's hash, so a name usually has the address that
/// minuteman gives it; a taken address is passed over for the next higher one.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    addresses: BTreeMap<String, Ipv4Addr>,
    names: BTreeMap<Ipv4Addr, String>,
}

impl Pool {
    /// The address of `service`, assigned now if it has none; the flag says so.
    ///
    /// # Errors
    /// [`PoolError::Exhausted`].
    pub fn assign(&mut self, service: &str) -> Result<(Ipv4Addr, bool), PoolError> {
        if let Some(address) = self.addresses.get(service) {
            return Ok((*address, false));
        }
        let (min, max) = (u32::from(MIN), u32::from(MAX));
        let start = min + phash2(service.as_bytes(), max - min);
        let free = (start..=max)
            .chain(min..start)
            .map(Ipv4Addr::from)
            .find(|address| !self.names.contains_key(address))
            .ok_or_else(|| PoolError::Exhausted(service.to_owned()))?;
        self.insert(service, free);
        Ok((free, true))
    }

    /// Takes over an assignment made earlier, as the registry holds it.
    ///
    /// # Errors
    /// [`PoolError::Conflict`].
    pub fn restore(&mut self, service: &str, address: Ipv4Addr) -> Result<(), PoolError> {
        let taken = self.names.contains_key(&address) || self.addresses.contains_key(service);
        if taken || !(MIN..=MAX).contains(&address) {
            return Err(PoolError::Conflict { name: service.to_owned(), address });
        }
        self.insert(service, address);
        Ok(())
    }

    /// The address of `service`, if it has one.
    pub fn get(&self, service: &str) -> Option<Ipv4Addr> {
        self.addresses.get(service).copied()
    }

    /// Gives the address of `service` back.
    pub fn release(&mut self, service: &str) -> Option<Ipv4Addr> {
        let address = self.addresses.remove(service)?;
        self.names.remove(&address);
        Some(address)
    }

    fn insert(&mut self, service: &str, address: Ipv4Addr) {
        self.addresses.insert(service.to_owned(), address);
        self.names.insert(address, service.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutemans_address_and_the_same_again() {
        let mut pool = Pool::default();
        let address = Ipv4Addr::from(u32::from(MIN) + 8_337_233);
        assert_eq!(pool.assign("nginx.marathon"), Ok((address, true)));
        assert_eq!(pool.assign("nginx.marathon"), Ok((address, false)));
        assert_eq!(pool.get("nginx.marathon"), Some(address));
    }

    #[test]
    fn a_taken_address_is_passed_over_and_the_range_wraps() {
        let mut pool = Pool::default();
        let first = Ipv4Addr::from(u32::from(MIN) + 8_337_233);
        pool.restore("other", first).unwrap();
        let next = Ipv4Addr::from(u32::from(first) + 1);
        assert_eq!(pool.assign("nginx.marathon"), Ok((next, true)));
        pool.release("other");
        assert_eq!(pool.assign("nginx.marathon"), Ok((next, false)));
    }

    #[test]
    fn contradicting_assignments_are_refused() {
        let mut pool = Pool::default();
        pool.restore("a", MIN).unwrap();
        for (name, address) in [("b", MIN), ("a", MAX), ("c", Ipv4Addr::new(11, 255, 255, 255))] {
            assert!(pool.restore(name, address).is_err(), "{name} {address}");
        }
        assert_eq!(pool.get("b"), None);
    }
}
