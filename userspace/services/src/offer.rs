//! Offers: what an agent has to give, and taking parts of it.

mod agent;
mod ports;

use muster_api::mesos::{Offer, Resource, value};

pub(crate) use self::agent::decimal;
use self::ports::PortRanges;

/// Mesos compares resources in thousandths; so does everything here.
pub fn thousandths(amount: f64) -> i64 {
    // Amounts are finite and below 10^12: see `definition`. Others saturate.
    #[expect(clippy::cast_possible_truncation, reason = "saturates, which is as good as any")]
    let whole = (amount * 1000.0).round() as i64;
    whole
}

/// `thousandths` as the number that the protocol carries.
fn amount(thousandths: i64) -> f64 {
    // Exact to well beyond what any machine has.
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let amount = thousandths as f64;
    amount / 1000.0
}

/// What is left of an offer.
#[derive(Clone, Debug)]
pub struct Pool {
    scalars: Vec<(Resource, i64)>,
    ports: Vec<(Resource, PortRanges)>,
}

impl Pool {
    /// What of `offer` tasks can simply use, in resources of `roles`: neither revocable
    /// nor shared nor a disk of a special kind. Reserved resources go first.
    pub fn new(offer: &Offer, roles: &[String]) -> Self {
        let mut usable: Vec<&Resource> = offer
            .resources
            .iter()
            .filter(|r| r.revocable.is_none() && r.shared.is_none() && r.disk.is_none())
            .filter(|r| roles.iter().any(|role| role == role_of(r)))
            .collect();
        usable.sort_by_key(|r| role_of(r) == "*");
        let (mut scalars, mut ports) = (Vec::new(), Vec::new());
        for resource in usable {
            if let Some(scalar) = &resource.scalar {
                scalars.push((resource.clone(), thousandths(scalar.value)));
            } else if let Some(ranges) = &resource.ranges
                && resource.name == "ports"
            {
                ports.push((resource.clone(), PortRanges::new(ranges)));
            }
        }
        Self { scalars, ports }
    }

    /// Whether there is nothing at all in the accepted roles.
    pub fn is_empty(&self) -> bool {
        self.scalars.is_empty() && self.ports.is_empty()
    }

    /// Takes out what has been taken from the same offer before.
    pub fn remove(&mut self, taken: &[Resource]) {
        for resource in taken {
            let same = |other: &Resource| {
                other.name == resource.name && role_of(other) == role_of(resource)
            };
            if let Some(scalar) = &resource.scalar {
                let mut wanted = thousandths(scalar.value);
                for (_, left) in self.scalars.iter_mut().filter(|(r, _)| same(r)) {
                    let part = wanted.min(*left);
                    *left -= part;
                    wanted -= part;
                }
            }
            let ports = resource.ranges.iter().flat_map(|ranges| &ranges.range);
            for number in ports.flat_map(|range| range.begin..=range.end) {
                for (_, ranges) in self.ports.iter_mut().filter(|(r, _)| same(r)) {
                    if u16::try_from(number).is_ok_and(|number| ranges.take(number)) {
                        break;
                    }
                }
            }
        }
    }

    /// Takes so many thousandths of the resource `name`, or nothing when there is less.
    pub fn take_scalar(&mut self, name: &str, thousandths: i64) -> Option<Vec<Resource>> {
        let total: i64 = self.scalars.iter().filter(|(r, _)| r.name == name).map(|(_, n)| n).sum();
        if total < thousandths {
            return None;
        }
        let (mut wanted, mut taken) = (thousandths, Vec::new());
        for (resource, left) in self.scalars.iter_mut().filter(|(r, _)| r.name == name) {
            let part = wanted.min(*left);
            if part > 0 {
                *left -= part;
                wanted -= part;
                let scalar = Some(value::Scalar { value: amount(part) });
                taken.push(Resource { scalar, ..resource.clone() });
            }
        }
        Some(taken)
    }

    /// Takes the host port `number`, if it is there.
    pub fn take_port(&mut self, number: u16) -> Option<Resource> {
        self.ports.iter_mut().find_map(|(resource, ranges)| {
            ranges.take(number).then(|| ports::single(resource, number))
        })
    }

    /// How many host ports are left.
    pub fn port_count(&self) -> u64 {
        self.ports.iter().map(|(_, ranges)| ranges.count()).sum()
    }

    /// The host port of this index among those left.
    pub fn port_at(&self, mut index: u64) -> Option<u16> {
        for (_, ranges) in &self.ports {
            if let Some(port) = ranges.at(index) {
                return Some(port);
            }
            index -= ranges.count();
        }
        None
    }
}

/// The role that a resource is reserved for, `*` when it is not, in either of the two
/// forms that reservations have.
fn role_of(resource: &Resource) -> &str {
    let refined = resource.reservations.last().and_then(|r| r.role.as_deref());
    #[expect(deprecated, reason = "frameworks without RESERVATION_REFINEMENT get this form")]
    let plain = resource.role.as_deref();
    refined.or(plain).unwrap_or("*")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(name: &str, value: f64, role: Option<&str>) -> Resource {
        let reservations = role.map(|role| muster_api::mesos::resource::ReservationInfo {
            role: Some(role.into()),
            ..Default::default()
        });
        Resource {
            name: name.into(),
            r#type: value::Type::Scalar.into(),
            scalar: Some(value::Scalar { value }),
            reservations: reservations.into_iter().collect(),
            ..Default::default()
        }
    }

    fn offer(resources: Vec<Resource>) -> Offer {
        Offer { resources, ..Default::default() }
    }

    #[test]
    fn reserved_resources_are_taken_first() {
        let offer = offer(vec![scalar("cpus", 1.0, None), scalar("cpus", 0.3, Some("web"))]);
        let mut pool = Pool::new(&offer, &["*".into(), "web".into()]);
        let taken = pool.take_scalar("cpus", 500).unwrap();
        let parts: Vec<_> = taken.iter().map(|r| (role_of(r), r.scalar.unwrap().value)).collect();
        assert_eq!(parts, [("web", 0.3), ("*", 0.2)]);
        assert!(pool.take_scalar("cpus", 801).is_none());
        assert_eq!(pool.take_scalar("cpus", 800).unwrap().len(), 1);
        let mut unreserved = Pool::new(&offer, &["*".into()]);
        assert!(unreserved.take_scalar("cpus", 1001).is_none());
    }

    #[test]
    fn tenths_add_up() {
        let mut pool = Pool::new(&offer(vec![scalar("cpus", 1.0, None)]), &["*".into()]);
        for _ in 0..10 {
            assert!(pool.take_scalar("cpus", thousandths(0.1)).is_some());
        }
        assert!(pool.take_scalar("cpus", 1).is_none());
        assert_eq!(pool.take_scalar("cpus", 0).unwrap(), []);
    }

    #[test]
    fn special_resources_are_left_alone() {
        let mut revocable = scalar("cpus", 8.0, None);
        revocable.revocable = Some(muster_api::mesos::resource::RevocableInfo {});
        let mut volume = scalar("disk", 100.0, None);
        volume.disk = Some(muster_api::mesos::resource::DiskInfo::default());
        assert!(Pool::new(&offer(vec![revocable, volume]), &["*".into()]).is_empty());
    }
}
