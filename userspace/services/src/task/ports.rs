//! A task's host ports, in order.

use muster_api::mesos::{
    Resource,
    value::{Range, Ranges},
};

/// The resources with the host ports in the order of the application's, which is how labels
/// `VIP_PORT<n>` count them.
pub(super) fn in_order(resources: Vec<Resource>, host_ports: &[u16]) -> Vec<Resource> {
    let (ports, mut ordered): (Vec<_>, Vec<_>) =
        resources.into_iter().partition(|resource| resource.name == "ports");
    for port in host_ports.iter().filter(|port| **port != 0).map(|port| u64::from(*port)) {
        let Some(holder) = ports.iter().find(|resource| holds(resource, port)) else { continue };
        let next = Resource {
            ranges: Some(Ranges { range: vec![Range { begin: port, end: port }] }),
            ..holder.clone()
        };
        match ordered.last_mut().and_then(|last| joined(last, &next, port)) {
            Some(()) => {}
            None => ordered.push(next),
        }
    }
    ordered
}

fn holds(resource: &Resource, port: u64) -> bool {
    let mut ranges = resource.ranges.iter().flat_map(|ranges| &ranges.range);
    ranges.any(|range| (range.begin..=range.end).contains(&port))
}

/// Puts a port into the resource before it, if they differ in nothing else.
fn joined(last: &mut Resource, next: &Resource, port: u64) -> Option<()> {
    if (Resource { ranges: None, ..last.clone() }) != (Resource { ranges: None, ..next.clone() }) {
        return None;
    }
    let ranges = &mut last.ranges.as_mut()?.range;
    match ranges.last_mut() {
        Some(range) if range.end + 1 == port => range.end = port,
        _ => ranges.push(Range { begin: port, end: port }),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::resource::ReservationInfo;

    use super::*;

    fn ports(role: &str, ranges: &[(u64, u64)]) -> Resource {
        let range = ranges.iter().map(|&(begin, end)| Range { begin, end }).collect();
        let reservation =
            ReservationInfo { role: Some(role.to_owned()), ..ReservationInfo::default() };
        Resource {
            name: "ports".into(),
            reservations: vec![reservation],
            ranges: Some(Ranges { range }),
            ..Resource::default()
        }
    }

    #[test]
    fn ports_are_in_the_order_of_the_application() {
        let cpus = Resource { name: "cpus".into(), ..Resource::default() };
        let given = vec![ports("*", &[(5, 6), (9, 9)]), cpus.clone(), ports("web", &[(7, 7)])];
        assert_eq!(
            in_order(given.clone(), &[9, 5, 6]),
            [cpus.clone(), ports("*", &[(9, 9), (5, 6)])]
        );
        assert_eq!(
            in_order(given, &[6, 0, 7, 9, 5]),
            [cpus, ports("*", &[(6, 6)]), ports("web", &[(7, 7)]), ports("*", &[(9, 9), (5, 5)])]
        );
    }
}
