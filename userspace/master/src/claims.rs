//! Which VIPs a task serves, from its discovery information and its labels.

mod reach;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use muster_api::mesos::{Labels, TaskInfo, TaskState, TaskStatus, value::Range};
use muster_api::muster::Protocol;
use muster_network::vip::{
    self, Asked, Family, Host, LabelError, Pool, TaskLabel, Transport, Wanted,
};

use self::reach::Reach;
use crate::view::{Claim, Key};

/// A port of a task that asks for a VIP.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    wanted: Wanted,
    protocol: Protocol,
    /// Where it is reached.
    places: Vec<SocketAddr>,
}

/// The claims of `task` in its latest status, on an agent with the address `agent`. Names have addresses from
/// `pool`, in each family that the task is reached in; `assigned` is told of names that got theirs just now. A label that makes no sense is logged and passed over:
/// frameworks validate their own, and one bad label must not take the others down.
pub(crate) fn claims(
    task: &TaskInfo,
    status: &TaskStatus,
    framework: &str,
    agent: IpAddr,
    pool: &mut Pool,
    mut assigned: impl FnMut(&str, IpAddr),
) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    for wish in wishes(task, &Reach::of(task, status, agent)) {
        let (name, vips) = match &wish.wanted.vip.host {
            Host::Address(vip) => (String::new(), vec![*vip]),
            Host::Name(label) => {
                let service = vip::service(label, framework);
                let reached = wish.places.iter().map(|place| Family::of(place.ip()));
                let mut families: BTreeSet<Family> = reached.collect();
                if families.is_empty() {
                    families.insert(Family::of(agent));
                }
                let mut vips = Vec::new();
                for family in families {
                    match pool.assign(&service, family) {
                        Ok((vip, new)) => {
                            if new {
                                assigned(&service, vip);
                            }
                            vips.push(vip);
                        }
                        Err(error) => {
                            tracing::error!(task = %task.task_id, %error, "task gets no VIP");
                        }
                    }
                }
                (vip::named(label, framework), vips)
            }
        };
        for vip in vips {
            let key = Key { address: vip, port: wish.wanted.vip.port, protocol: wish.protocol };
            for backend in of_family(vip, &wish.places) {
                let Wanted { policy, weight, .. } = wish.wanted;
                add(&mut claims, Claim { key, name: name.clone(), policy, weight, backend });
            }
        }
    }
    claims
}

/// Names that differ may be one when they are mangled, and a port serves a VIP once.
fn add(claims: &mut Vec<Claim>, claim: Claim) {
    match claims.iter_mut().find(|c| c.key == claim.key && c.backend == claim.backend) {
        Some(known) => {
            known.policy = known.policy.or(claim.policy);
            known.weight = known.weight.or(claim.weight);
        }
        None => claims.push(claim),
    }
}

/// Those of the VIP's family, or all if there is none of it; one that is nowhere if there is none at all.
fn of_family(vip: IpAddr, places: &[SocketAddr]) -> Vec<Option<SocketAddr>> {
    let is_native = |place: &&SocketAddr| place.is_ipv4() == vip.is_ipv4();
    let native: Vec<_> = places.iter().filter(is_native).copied().map(Some).collect();
    match (native.is_empty(), places) {
        (false, _) => native,
        (true, []) => vec![None],
        (true, _) => places.iter().copied().map(Some).collect(),
    }
}

/// A port's protocol; `None` if VIPs are not for it.
fn protocol(name: Option<&str>) -> Option<Protocol> {
    match name.unwrap_or("tcp") {
        name if name.eq_ignore_ascii_case("tcp") => Some(Protocol::Tcp),
        name if name.eq_ignore_ascii_case("udp") => Some(Protocol::Udp),
        _ => None,
    }
}

fn wishes(task: &TaskInfo, reach: &Reach) -> Vec<Wish> {
    let ports = task.discovery.iter().filter_map(|discovery| discovery.ports.as_ref());
    let mut wishes = Vec::new();
    for port in ports.flat_map(|ports| &ports.ports) {
        let Some(protocol) = protocol(port.protocol.as_deref()) else { continue };
        let Some(number) = u16::try_from(port.number).ok().filter(|number| *number > 0) else {
            continue;
        };
        let asked = Asked::of(pairs(port.labels.as_ref()));
        for wanted in asked.vips {
            let places = reach.port(port, protocol, number);
            wishes.push(Wish { wanted, protocol, places });
        }
        pass_over(task, &asked.refused);
    }
    let ports = host_ports(task);
    let asked = Asked::of_task(pairs(task.labels.as_ref()), ports.len());
    for Wanted { vip: TaskLabel { index, transport, label }, policy, weight } in asked.vips {
        let protocol = match transport {
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
        };
        if let Some(&port) = ports.get(index) {
            let wanted = Wanted { vip: label, policy, weight };
            wishes.push(Wish { wanted, protocol, places: vec![reach.host(port)] });
        }
    }
    pass_over(task, &asked.refused);
    wishes
}

fn pairs(labels: Option<&Labels>) -> impl Iterator<Item = (&str, &str)> {
    let labels = labels.into_iter().flat_map(|labels| &labels.labels);
    labels.map(|label| (label.key.as_str(), label.value()))
}

fn pass_over(task: &TaskInfo, refused: &BTreeMap<String, LabelError>) {
    for (key, error) in refused {
        tracing::warn!(task = %task.task_id, key, %error, "VIP label ignored");
    }
}

/// The task's resources `ports`, in the order in which its framework gave them.
fn host_ports(task: &TaskInfo) -> Vec<u16> {
    let resources = task.resources.iter().filter(|resource| resource.name == "ports");
    let ranges = resources.filter_map(|resource| resource.ranges.as_ref());
    let within = |range: &Range| {
        let last = range.end.min(u16::MAX.into());
        (range.begin..=last).filter_map(|port| u16::try_from(port).ok())
    };
    ranges.flat_map(|ranges| &ranges.range).flat_map(within).collect()
}

/// Whether a task gets new connections in its state: it does when it runs and is not unhealthy; `None` when it
/// serves nothing. A task whose health check has not passed yet counts as unhealthy.
pub(crate) fn takes(task: &TaskInfo, status: &TaskStatus) -> Option<bool> {
    match status.state() {
        TaskState::TaskRunning => Some(status.healthy.unwrap_or(task.health_check.is_none())),
        TaskState::TaskKilling => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
