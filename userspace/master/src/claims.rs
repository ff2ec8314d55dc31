//! Which VIPs a task serves, from its discovery information and its labels.

mod reach;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use muster_api::mesos::{Labels, TaskInfo, TaskState, TaskStatus, value::Range};
use muster_api::muster::Protocol;
use muster_network::vip::{
    self, Asked, Family, Host, Label, LabelError, Policy, Pool, TaskLabel, Transport,
};

use self::reach::Reach;
use crate::view::{Claim, Key};

/// A port of a task that asks for a VIP.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    label: Label,
    policy: Option<Policy>,
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
        let (name, vips) = match &wish.label.host {
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
            let key = Key { address: vip, port: wish.label.port, protocol: wish.protocol };
            for backend in of_family(vip, &wish.places) {
                add(&mut claims, Claim { key, name: name.clone(), policy: wish.policy, backend });
            }
        }
    }
    claims
}

/// Names that differ may be one when they are mangled, and a port serves a VIP once.
fn add(claims: &mut Vec<Claim>, claim: Claim) {
    match claims.iter_mut().find(|c| c.key == claim.key && c.backend == claim.backend) {
        Some(known) => known.policy = known.policy.or(claim.policy),
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
        for (label, policy) in asked.vips {
            let places = reach.port(port, protocol, number);
            wishes.push(Wish { label, policy, protocol, places });
        }
        pass_over(task, &asked.refused);
    }
    let ports = host_ports(task);
    let asked = Asked::of_task(pairs(task.labels.as_ref()), ports.len());
    for (TaskLabel { index, transport, label }, policy) in asked.vips {
        let protocol = match transport {
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
        };
        if let Some(&port) = ports.get(index) {
            wishes.push(Wish { label, policy, protocol, places: vec![reach.host(port)] });
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

/// The weight of a task in its state: 1 when it runs and is not unhealthy, 0 when it
/// must get no new connections, `None` when it serves nothing. A task whose health
/// check has not passed yet counts as unhealthy.
pub(crate) fn weight(task: &TaskInfo, status: &TaskStatus) -> Option<u32> {
    match status.state() {
        TaskState::TaskRunning => {
            let healthy = status.healthy.unwrap_or(task.health_check.is_none());
            Some(u32::from(healthy))
        }
        TaskState::TaskKilling => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::{
        ContainerStatus, DiscoveryInfo, HealthCheck, Label as MesosLabel, NetworkInfo, Port, Ports,
        Resource, network_info, value::Ranges,
    };

    use super::*;

    type Wanted<'a> = (u32, &'a str, &'a [(&'a str, &'a str)]);

    fn labels(labels: &[(&str, &str)]) -> Labels {
        let label = |&(key, value): &(&str, &str)| MesosLabel {
            key: key.into(),
            value: Some(value.into()),
        };
        Labels { labels: labels.iter().map(label).collect() }
    }

    fn task(ports: Vec<Wanted<'_>>) -> TaskInfo {
        let ports = ports
            .into_iter()
            .map(|(number, protocol, given)| Port {
                number,
                protocol: Some(protocol.into()),
                labels: Some(labels(given)),
                ..Port::default()
            })
            .collect();
        let discovery = DiscoveryInfo { ports: Some(Ports { ports }), ..DiscoveryInfo::default() };
        TaskInfo { discovery: Some(discovery), ..TaskInfo::default() }
    }

    fn of(
        task: &TaskInfo,
        agent: IpAddr,
        pool: &mut Pool,
        assigned: impl FnMut(&str, IpAddr),
    ) -> Vec<Claim> {
        claims(task, &TaskStatus::default(), "marathon", agent, pool, assigned)
    }

    fn port(claim: &Claim) -> u16 {
        claim.backend.unwrap().port()
    }

    #[test]
    fn every_label_of_every_port_claims() {
        let task = task(vec![
            (
                31000,
                "tcp",
                &[
                    ("VIP_0", "/web:80"),
                    ("VIP_1", "10.1.1.1:8080"),
                    ("VIP_1_POLICY", "maglev"),
                    ("x", "y:1"),
                ],
            ),
            (31001, "UDP", &[("vip0", "/web:53")]),
            (31002, "sctp", &[("VIP_0", "/no:1")]),
            (0, "tcp", &[("VIP_0", "/no:1")]),
            (31003, "tcp", &[("VIP_0", "no port")]),
        ]);
        let mut new = Vec::new();
        let mut pool = Pool::default();
        let address = "10.0.0.7".parse().unwrap();
        let claims = of(&task, address, &mut pool, |name, _| new.push(name.to_owned()));
        assert_eq!(new, ["web.marathon"]);
        let web = pool.get("web.marathon", Family::V4).unwrap().to_string();
        let got: Vec<_> = claims
            .iter()
            .map(|c| (c.key.address.to_string(), c.key.port, c.key.protocol, port(c)))
            .collect();
        assert_eq!(
            got,
            [
                (web.clone(), 80, Protocol::Tcp, 31000),
                ("10.1.1.1".into(), 8080, Protocol::Tcp, 31000),
                (web, 53, Protocol::Udp, 31001),
            ]
        );
        assert_eq!(claims[0].name, "web.marathon.l4lb.thisdcos.directory");
        assert_eq!(claims[1].name, "");
        let policies: Vec<_> = claims.iter().map(|claim| claim.policy).collect();
        assert_eq!(policies, [None, Some(Policy::Maglev), None]);
    }

    #[test]
    fn names_that_are_one_when_mangled_are_one_vip() {
        let task = task(vec![
            (
                31000,
                "tcp",
                &[("VIP_0", "/a_b:80"), ("VIP_1", "a-B:80"), ("VIP_1_POLICY", "maglev")],
            ),
            (31001, "tcp", &[("VIP_0", "/a-b:80")]),
        ]);
        let address = "10.0.0.7".parse().unwrap();
        let claims = of(&task, address, &mut Pool::default(), |_, _| {});
        let got: Vec<_> = claims.iter().map(|c| (c.name.as_str(), port(c), c.policy)).collect();
        let name = "a-b.marathon.l4lb.thisdcos.directory";
        assert_eq!(got, [(name, 31000, Some(Policy::Maglev)), (name, 31001, None)]);
    }

    #[test]
    fn labels_of_the_task_count_its_host_ports_as_they_are_given() {
        let mut task = task(vec![(31007, "tcp", &[("VIP_0", "/web:80")])]);
        task.labels = Some(labels(&[
            ("VIP_PORT0", "tcp://10.1.1.1:80"),
            ("vip_port2", "udp:///dns:53"),
            // The same as the port's own.
            ("VIP_PORT1", "tcp:///web:80"),
            ("VIP_PORT3", "tcp:///none:80"),
        ]));
        let ports = |ranges: &[(u64, u64)]| Resource {
            name: "ports".into(),
            ranges: Some(Ranges {
                range: ranges.iter().map(|&(begin, end)| Range { begin, end }).collect(),
            }),
            ..Resource::default()
        };
        task.resources = vec![
            Resource { name: "cpus".into(), ..Resource::default() },
            ports(&[(31009, 31009), (31007, 31007)]),
            ports(&[(31000, 31000)]),
        ];
        let address = "10.0.0.7".parse().unwrap();
        let claims = of(&task, address, &mut Pool::default(), |_, _| {});
        let got: Vec<_> = claims
            .iter()
            .map(|c| (c.name.split('.').next().unwrap_or_default(), c.key.protocol, port(c)))
            .collect();
        let wanted = [
            ("web", Protocol::Tcp, 31007),
            ("", Protocol::Tcp, 31009),
            ("dns", Protocol::Udp, 31000),
        ];
        assert_eq!(got, wanted);
    }

    #[test]
    fn task_at_an_ipv6_address_serves_its_name_at_one() {
        let task = task(vec![(31000, "tcp", &[("VIP_0", "/web:80"), ("VIP_1", "fd02::1:81")])]);
        let mut new = Vec::new();
        let mut pool = Pool::default();
        let mut at = |address: &str| {
            let assigned = |_: &str, vip: IpAddr| new.push(vip);
            of(&task, address.parse().unwrap(), &mut pool, assigned)
        };
        let six = at("fd00::7");
        assert!(six[0].key.address.to_string().starts_with("fd01:c::"), "{six:?}");
        assert_eq!(six[0].backend.unwrap().to_string(), "[fd00::7]:31000");
        assert_eq!(six[1].key.address.to_string(), "fd02::1");
        // The same name on another agent, with an address of the other family.
        let four = at("10.0.0.7");
        assert!(four[0].key.address.is_ipv4());
        assert_eq!(four[0].name, six[0].name);
        assert_eq!(new, [six[0].key.address, four[0].key.address]);
    }

    fn told(addresses: &[&str]) -> TaskStatus {
        let address = |text: &&str| network_info::IpAddress {
            protocol: None,
            ip_address: Some((*text).to_owned()),
        };
        let ip_addresses = addresses.iter().map(address).collect();
        let network = NetworkInfo { ip_addresses, ..NetworkInfo::default() };
        let place = ContainerStatus { network_infos: vec![network], ..ContainerStatus::default() };
        TaskStatus { container_status: Some(place), ..TaskStatus::default() }
    }

    #[test]
    fn a_task_of_its_own_addresses_serves_each_vip_in_the_vips_family() {
        let task = task(vec![(
            80,
            "tcp",
            &[
                ("VIP_0", "/web:80"),
                ("VIP_1", "10.1.1.1:81"),
                ("VIP_2", "fd02::1:82"),
                ("network-scope", "container"),
            ],
        )]);
        let mut pool = Pool::default();
        let mut at = |addresses: &[&str]| {
            let agent = "10.0.0.7".parse().unwrap();
            let claims = claims(&task, &told(addresses), "marathon", agent, &mut pool, |_, _| {});
            let shown = claims.iter().map(|claim| {
                let is_ipv4 = claim.key.address.is_ipv4();
                (claim.key.port, is_ipv4, claim.backend.map(|backend| backend.to_string()))
            });
            shown.collect::<Vec<_>>()
        };
        let (four, six) = (Some("10.9.0.2:80".to_owned()), Some("[fd00:9::2]:80".to_owned()));
        let wanted = [
            (80, true, four.clone()),
            (80, false, six.clone()),
            (81, true, four.clone()),
            (82, false, six),
        ];
        assert_eq!(at(&["10.9.0.2", "fd00:9::2"]), wanted);
        let wanted = [(80, true, four.clone()), (81, true, four.clone()), (82, false, four)];
        assert_eq!(at(&["10.9.0.2"]), wanted);
        // Claimed all the same: connections are refused, and do not leave for the default route.
        assert_eq!(at(&[]), [(80, true, None), (81, true, None), (82, false, None)]);
    }

    #[test]
    fn only_healthy_running_tasks_have_weight() {
        let status = |state: TaskState, healthy| {
            let mut status = TaskStatus { healthy, ..TaskStatus::default() };
            status.set_state(state);
            status
        };
        let plain = TaskInfo::default();
        let checked =
            TaskInfo { health_check: Some(HealthCheck::default()), ..TaskInfo::default() };
        assert_eq!(weight(&plain, &status(TaskState::TaskRunning, None)), Some(1));
        assert_eq!(weight(&checked, &status(TaskState::TaskRunning, None)), Some(0));
        assert_eq!(weight(&checked, &status(TaskState::TaskRunning, Some(true))), Some(1));
        assert_eq!(weight(&checked, &status(TaskState::TaskRunning, Some(false))), Some(0));
        assert_eq!(weight(&plain, &status(TaskState::TaskKilling, None)), Some(0));
        assert_eq!(weight(&plain, &status(TaskState::TaskStaging, None)), None);
        assert_eq!(weight(&plain, &status(TaskState::TaskFinished, None)), None);
    }
}
