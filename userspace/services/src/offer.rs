//! Offers: what an agent has to give, and taking parts of it.

mod agent;

use muster_resources::{Name, Range, Ranges, Resource, Resources, Scalar, Value};

pub(crate) use self::agent::decimal;

/// What is left of an offer.
#[derive(Clone, Debug)]
pub struct Pool {
    left: Resources,
}

impl Pool {
    /// What of `offered` tasks can simply use, in resources of `roles`: neither revocable
    /// nor shared nor a disk of a special kind.
    pub fn new(offered: &Resources, roles: &[String]) -> Self {
        let usable = |resource: &&Resource| {
            !resource.is_revocable()
                && !resource.is_shared()
                && resource.details().disk.is_none()
                && roles.iter().any(|role| role == role_of(resource))
        };
        Self { left: offered.filter(usable) }
    }

    /// Whether there is nothing at all in the accepted roles.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Takes out what has been taken from the same offer before.
    pub fn remove(&mut self, taken: &Resources) {
        self.left -= taken;
    }

    /// Takes so much of the resource `name`, or nothing when there is less. What is
    /// reserved goes first.
    pub fn take_scalar(&mut self, name: &Name, amount: Scalar) -> Option<Resources> {
        if self.left.scalar(name) < amount {
            return None;
        }
        let mut entries: Vec<&Resource> = self.left.named(name).collect();
        entries.sort_by_key(|entry| !entry.is_reserved());
        let (mut missing, mut taken) = (amount, Resources::default());
        for entry in entries {
            if let Value::Scalar(there) = entry.value() {
                let part = missing.min(*there);
                missing -= part;
                taken.add(entry.clone().with_value(Value::Scalar(part)));
            }
        }
        self.left -= &taken;
        Some(taken)
    }

    /// Takes the host port `number`, if it is there.
    pub fn take_port(&mut self, number: u16) -> Option<Resource> {
        let port = single(number);
        let holds = |entry: &&Resource| matches!(entry.value(), Value::Ranges(ranges) if ranges.contains(&port));
        let ports = Name::PORTS;
        let holder = self.left.named(&ports).find(holds)?;
        let taken = holder.clone().with_value(Value::Ranges(port));
        self.left.subtract(&taken);
        Some(taken)
    }

    /// The host ports that are left.
    pub fn ports(&self) -> Ranges {
        let mut ports = self.left.ranges(Name::PORTS);
        // What is no port number cannot be given to anyone.
        for (begin, end) in [(0, 0), (u64::from(u16::MAX) + 1, u64::MAX)] {
            ports.subtract(&range(begin, end));
        }
        ports
    }
}

/// The number of this index in `ports`.
pub fn port_at(ports: &Ranges, mut index: u64) -> Option<u16> {
    for range in ports.as_slice() {
        let length = range.end - range.begin + 1;
        if index < length {
            return u16::try_from(range.begin + index).ok();
        }
        index -= length;
    }
    None
}

fn single(number: u16) -> Ranges {
    range(number.into(), number.into())
}

fn range(begin: u64, end: u64) -> Ranges {
    Ranges::new([Range { begin, end }]).unwrap_or_default()
}

/// The role that a resource is reserved for, `*` when it is not.
fn role_of(resource: &Resource) -> &str {
    resource.reservation_role().unwrap_or("*")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Resources {
        Resources::parse(text).unwrap()
    }

    fn pool(text: &str, roles: &[&str]) -> Pool {
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        Pool::new(&parse(text), &roles)
    }

    fn cpus(thousandths: i64) -> Scalar {
        Scalar::from_thousandths(thousandths)
    }

    #[test]
    fn reserved_resources_are_taken_first() {
        let mut both = pool("cpus:1;cpus(web):0.3", &["*", "web"]);
        assert_eq!(
            both.take_scalar(&Name::CPUS, cpus(500)).unwrap(),
            parse("cpus(web):0.3;cpus:0.2")
        );
        assert!(both.take_scalar(&Name::CPUS, cpus(801)).is_none());
        assert_eq!(both.take_scalar(&Name::CPUS, cpus(800)).unwrap(), parse("cpus:0.8"));
        let mut unreserved = pool("cpus:1;cpus(web):0.3", &["*"]);
        assert!(unreserved.take_scalar(&Name::CPUS, cpus(1001)).is_none());
        assert!(pool("cpus(web):0.3", &["*"]).is_empty());
    }

    #[test]
    fn tenths_add_up() {
        let mut pool = pool("cpus:1", &["*"]);
        for _ in 0..10 {
            assert!(pool.take_scalar(&Name::CPUS, Scalar::from_f64(0.1).unwrap()).is_some());
        }
        assert!(pool.take_scalar(&Name::CPUS, cpus(1)).is_none());
        assert!(pool.take_scalar(&Name::CPUS, Scalar::ZERO).unwrap().is_empty());
    }

    #[test]
    fn every_port_is_there_once() {
        let mut pool = pool("ports:[0-2, 65535-70000]", &["*"]);
        let ports = pool.ports();
        assert_eq!(ports.count(), 3);
        let found = [0, 1, 2, 3].map(|index| port_at(&ports, index));
        assert_eq!(found, [Some(1), Some(2), Some(65_535), None]);
        for number in [2, 65_535, 1] {
            assert!(pool.take_port(number).is_some());
            assert!(pool.take_port(number).is_none());
        }
        assert!(pool.ports().is_empty());
    }

    #[test]
    fn what_was_taken_before_is_gone() {
        let mut pool = pool("cpus:4;ports:[31000-31001]", &["*"]);
        pool.remove(&parse("cpus:3;ports:[31000-31000]"));
        assert!(pool.take_port(31_000).is_none());
        assert!(pool.take_scalar(&Name::CPUS, cpus(1001)).is_none());
    }

    #[test]
    fn special_resources_are_left_alone() {
        let revocable = |r: &Resource| r.map_details(|details| details.revocable = true);
        let offered: Resources = parse("cpus:8").iter().map(revocable).collect();
        assert!(Pool::new(&offered, &["*".into()]).is_empty());
    }
}
