//! Addresses of named VIPs.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use sha1::{Digest as _, Sha1};

use super::phash2::phash2;

/// First IPv4 address given out, `min_named_ip`.
const MIN: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 0);
/// Last IPv4 address given out, `max_named_ip`.
const MAX: Ipv4Addr = Ipv4Addr::new(11, 255, 255, 254);
/// First IPv6 address given out, `min_named_ip6`.
const MIN6: Ipv6Addr = Ipv6Addr::new(0xfd01, 0xc, 0, 0, 0, 0, 0, 0);
/// Last IPv6 address given out, `max_named_ip6`.
const MAX6: Ipv6Addr = Ipv6Addr::new(0xfd01, 0xc, 0, 0, 0xffff, 0xffff, 0xffff, 0xffff);

/// An address family. A named VIP has an address of each that it has backends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// No address can be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Every address of the range has a name.
    #[error("no address is left for {name}: all of {} are taken", Range(*.family))]
    Exhausted {
        /// The service that wants one.
        name: String,
        /// Of which family.
        family: Family,
    },
    /// A stored assignment contradicts another, or lies outside the range.
    #[error(
        "stored VIP {name} cannot have {address}: taken, or not in {}", Range(Family::of(*.address))
    )]
    Conflict {
        /// The service whose assignment is bad.
        name: String,
        /// The address it claims.
        address: IpAddr,
    },
}

/// Which named service ([`super::service`]) has which addresses.
///
/// The first choice is the name's hash, so a name usually has the address that
/// minuteman gives it; a taken address is passed over for the next higher one.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    v4: BTreeMap<String, IpAddr>,
    v6: BTreeMap<String, IpAddr>,
    names: BTreeMap<IpAddr, String>,
    /// Addresses that nobody claims, and since when that is known.
    unclaimed: BTreeMap<IpAddr, Duration>,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The first and the last address given out.
    fn range(self) -> (u128, u128) {
        match self {
            Self::V4 => (u32::from(MIN).into(), u32::from(MAX).into()),
            Self::V6 => (MIN6.into(), MAX6.into()),
        }
    }

    /// Whether an address is one of those that names are given.
    pub(super) fn is_given_out(address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => (MIN..=MAX).contains(&address),
            IpAddr::V6(address) => (MIN6..=MAX6).contains(&address),
        }
    }

    /// The number of the address that a service gets if nobody has it.
    fn first_choice(self, service: &str) -> u128 {
        let (min, max) = self.range();
        min + match self {
            Self::V4 => phash2(service.as_bytes(), u32::from(MAX) - u32::from(MIN)).into(),
            Self::V6 => remainder(&Sha1::digest(service), max - min),
        }
    }

    fn address(self, number: u128) -> IpAddr {
        match self {
            #[expect(clippy::cast_possible_truncation, reason = "the range ends below 2^32")]
            Self::V4 => Ipv4Addr::from(number as u32).into(),
            Self::V6 => Ipv6Addr::from(number).into(),
        }
    }
}

/// The digest, as one number, modulo a divisor below 2^120.
fn remainder(digest: &[u8], divisor: u128) -> u128 {
    digest.iter().fold(0, |rest, byte| ((rest << 8) | u128::from(*byte)) % divisor)
}

/// A family's range, as messages name it.
pub(super) struct Range(pub(super) Family);

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Family::V4 => write!(f, "{MIN} to {MAX}"),
            Family::V6 => write!(f, "{MIN6} to {MAX6}"),
        }
    }
}

impl Pool {
    /// The address of `service` in a family, assigned now if it has none; the flag says so.
    ///
    /// # Errors
    /// [`PoolError::Exhausted`].
    pub fn assign(&mut self, service: &str, family: Family) -> Result<(IpAddr, bool), PoolError> {
        if let Some(address) = self.get(service, family) {
            self.unclaimed.remove(&address);
            return Ok((address, false));
        }
        let ((min, max), start) = (family.range(), family.first_choice(service));
        let free = (start..=max)
            .chain(min..start)
            .map(|number| family.address(number))
            .find(|address| !self.names.contains_key(address))
            .ok_or_else(|| PoolError::Exhausted { name: service.to_owned(), family })?;
        self.insert(service, free);
        Ok((free, true))
    }

    /// Takes over an assignment made earlier, as the registry holds it.
    ///
    /// # Errors
    /// [`PoolError::Conflict`].
    pub fn restore(&mut self, service: &str, address: IpAddr) -> Result<(), PoolError> {
        let family = Family::of(address);
        let taken = self.names.contains_key(&address) || self.of(family).contains_key(service);
        if taken || !Family::is_given_out(address) {
            return Err(PoolError::Conflict { name: service.to_owned(), address });
        }
        self.insert(service, address);
        Ok(())
    }

    /// Takes addresses back that nobody has claimed for `keep`. Returns which, and whose they were.
    pub fn release(
        &mut self,
        now: Duration,
        keep: Duration,
        is_claimed: impl Fn(IpAddr) -> bool,
    ) -> Vec<(String, IpAddr)> {
        let mut released = Vec::new();
        for (&address, service) in &self.names {
            if is_claimed(address) {
                self.unclaimed.remove(&address);
            } else if now >= *self.unclaimed.entry(address).or_insert(now) + keep {
                released.push((service.clone(), address));
            }
        }
        for (service, address) in &released {
            self.names.remove(address);
            self.unclaimed.remove(address);
            self.of_mut(Family::of(*address)).remove(service);
        }
        released
    }

    /// The address of `service` in a family, if it has one.
    pub fn get(&self, service: &str, family: Family) -> Option<IpAddr> {
        self.of(family).get(service).copied()
    }

    const fn of(&self, family: Family) -> &BTreeMap<String, IpAddr> {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    const fn of_mut(&mut self, family: Family) -> &mut BTreeMap<String, IpAddr> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    fn insert(&mut self, service: &str, address: IpAddr) {
        self.of_mut(Family::of(address)).insert(service.to_owned(), address);
        self.names.insert(address, service.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `nginx.marathon` gets if nobody has it.
    fn nginx() -> IpAddr {
        Ipv4Addr::from(u32::from(MIN) + 8_337_233).into()
    }

    #[test]
    fn minutemans_address_and_the_same_again() {
        let mut pool = Pool::default();
        assert_eq!(pool.assign("nginx.marathon", Family::V4), Ok((nginx(), true)));
        assert_eq!(pool.assign("nginx.marathon", Family::V4), Ok((nginx(), false)));
        assert_eq!(pool.get("nginx.marathon", Family::V4), Some(nginx()));
        assert_eq!(pool.get("nginx.marathon", Family::V6), None);
    }

    #[test]
    fn ipv6_address_is_the_sha1_of_the_name() {
        // printf nginx.marathon | sha1sum, modulo 2^64 - 1.
        let address: IpAddr = "fd01:c::52d9:41e1:4a6a:9fb".parse().unwrap();
        let mut pool = Pool::default();
        assert_eq!(pool.assign("nginx.marathon", Family::V6), Ok((address, true)));
        assert_eq!(pool.assign("nginx.marathon", Family::V6), Ok((address, false)));
        assert_eq!(pool.assign("nginx.marathon", Family::V4), Ok((nginx(), true)));
        let mut other = Pool::default();
        other.restore("other", address).unwrap();
        let next = Ipv6Addr::from(Family::V6.first_choice("nginx.marathon") + 1);
        assert_eq!(other.assign("nginx.marathon", Family::V6), Ok((next.into(), true)));
    }

    #[test]
    fn a_taken_address_is_passed_over() {
        let mut pool = Pool::default();
        pool.restore("other", nginx()).unwrap();
        let next = Ipv4Addr::from(u32::from(MIN) + 8_337_234).into();
        assert_eq!(pool.assign("nginx.marathon", Family::V4), Ok((next, true)));
        assert_eq!(pool.assign("nginx.marathon", Family::V4), Ok((next, false)));
    }

    #[test]
    fn an_address_that_nobody_claims_is_free_after_a_while() {
        let (mut pool, keep) = (Pool::default(), Duration::from_secs(100));
        let at = Duration::from_secs;
        pool.assign("nginx.marathon", Family::V4).unwrap();
        let (six, _) = pool.assign("nginx.marathon", Family::V6).unwrap();
        let none: [(String, IpAddr); 0] = [];
        assert_eq!(pool.release(at(1000), keep, |address| address == six), none);
        assert_eq!(pool.release(at(1099), keep, |address| address == six), none);
        // Claimed once more, so the time begins anew.
        pool.assign("nginx.marathon", Family::V4).unwrap();
        assert_eq!(pool.release(at(1100), keep, |address| address == six), none);
        assert_eq!(pool.release(at(1150), keep, |_| true), none);
        assert_eq!(pool.release(at(1160), keep, |address| address == six), none);
        let released = pool.release(at(1260), keep, |address| address == six);
        assert_eq!(released, [("nginx.marathon".to_owned(), nginx())]);
        assert_eq!(pool.get("nginx.marathon", Family::V4), None);
        assert_eq!(pool.get("nginx.marathon", Family::V6), Some(six));
        pool.restore("other", nginx()).unwrap();
    }

    #[test]
    fn contradicting_assignments_are_refused() {
        let mut pool = Pool::default();
        pool.restore("a", MIN.into()).unwrap();
        pool.restore("a", MIN6.into()).unwrap();
        for (name, address) in [
            ("b", "11.0.0.0"),
            ("a", "11.255.255.254"),
            ("c", "11.255.255.255"),
            ("b", "fd01:c::"),
            ("a", "fd01:c::1"),
            ("c", "fd01:c:0:1::"),
        ] {
            assert!(pool.restore(name, address.parse().unwrap()).is_err(), "{name} {address}");
        }
        assert_eq!(pool.get("b", Family::V4), None);
        let error = PoolError::Conflict { name: "c".into(), address: MIN6.into() };
        assert_eq!(
            error.to_string(),
            "stored VIP c cannot have fd01:c::: taken, or not in fd01:c:: to fd01:c::ffff:ffff:ffff:ffff"
        );
    }
}
