//! Which VIPs a task serves, from its discovery information and its labels.

use std::collections::BTreeMap;
use std::net::IpAddr;

use muster_api::mesos::{Labels, TaskInfo, TaskState, TaskStatus, value::Range};
use muster_api::muster::Protocol;
use muster_network::vip::{
    self, Asked, Family, Host, Label, LabelError, Policy, Pool, TaskLabel, Transport,
};

use crate::view::{Claim, Key};

/// A port of a task that asks for a VIP.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    label: Label,
    policy: Option<Policy>,
    protocol: Protocol,
    port: u16,
}

/// The claims of `task`, with addresses from `pool`, in the family of `address`, at which the
/// task is reached; `assigned` is told of names that got theirs just now. A label that makes no sense is logged and passed over:
/// frameworks validate their own, and one bad label must not take the others down.
pub(crate) fn claims(
    task: &TaskInfo,
    framework: &str,
    address: IpAddr,
    pool: &mut Pool,
    mut assigned: impl FnMut(&str, IpAddr),
) -> Vec<Claim> {
    let mut claims = Vec::new();
    for wish in wishes(task) {
        let (vip, name) = match wish.label.host {
            Host::Address(vip) => (vip, String::new()),
            Host::Name(label) => {
                let service = vip::service(&label, framework);
                match pool.assign(&service, Family::of(address)) {
                    Ok((vip, new)) => {
                        if new {
                            assigned(&service, vip);
                        }
                        (vip, vip::named(&label, framework))
                    }
                    Err(error) => {
                        tracing::error!(task = %task.task_id, %error, "task gets no VIP");
                        continue;
                    }
                }
            }
        };
        let key = Key { address: vip, port: wish.label.port, protocol: wish.protocol };
        // Names that differ may be one when they are mangled, and a port serves a VIP once.
        let known = claims.iter_mut().find(|c: &&mut Claim| c.key == key && c.port == wish.port);
        if let Some(known) = known {
            known.policy = known.policy.or(wish.policy);
            continue;
        }
        let policy = wish.policy;
        claims.push(Claim { key, name, policy, backend: address, port: wish.port });
    }
    claims
}

fn wishes(task: &TaskInfo) -> Vec<Wish> {
    let ports = task.discovery.iter().filter_map(|discovery| discovery.ports.as_ref());
    let mut wishes = Vec::new();
    for port in ports.flat_map(|ports| &ports.ports) {
        let protocol = match port.protocol.as_deref().unwrap_or("tcp") {
            name if name.eq_ignore_ascii_case("tcp") => Protocol::Tcp,
            name if name.eq_ignore_ascii_case("udp") => Protocol::Udp,
            _ => continue,
        };
        let Some(number) = u16::try_from(port.number).ok().filter(|number| *number > 0) else {
            continue;
        };
        let asked = Asked::of(pairs(port.labels.as_ref()));
        for (label, policy) in asked.vips {
            wishes.push(Wish { label, policy, protocol, port: number });
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
            wishes.push(Wish { label, policy, protocol, port });
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
        DiscoveryInfo, HealthCheck, Label as MesosLabel, Port, Ports, Resource, value::Ranges,
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
        let claims =
            claims(&task, "marathon", address, &mut pool, |name, _| new.push(name.to_owned()));
        assert_eq!(new, ["web.marathon"]);
        let web = pool.get("web.marathon", Family::V4).unwrap().to_string();
        let got: Vec<_> = claims
            .iter()
            .map(|c| (c.key.address.to_string(), c.key.port, c.key.protocol, c.port))
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
        let claims = claims(&task, "marathon", address, &mut Pool::default(), |_, _| {});
        let got: Vec<_> = claims.iter().map(|c| (c.name.as_str(), c.port, c.policy)).collect();
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
        let claims = claims(&task, "marathon", address, &mut Pool::default(), |_, _| {});
        let got: Vec<_> = claims
            .iter()
            .map(|c| (c.name.split('.').next().unwrap_or_default(), c.key.protocol, c.port))
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
            claims(&task, "marathon", address.parse().unwrap(), &mut pool, assigned)
        };
        let six = at("fd00::7");
        assert!(six[0].key.address.to_string().starts_with("fd01:c::"), "{six:?}");
        assert_eq!(six[0].backend.to_string(), "fd00::7");
        assert_eq!(six[1].key.address.to_string(), "fd02::1");
        // The same name on another agent, with an address of the other family.
        let four = at("10.0.0.7");
        assert!(four[0].key.address.is_ipv4());
        assert_eq!(four[0].name, six[0].name);
        assert_eq!(new, [six[0].key.address, four[0].key.address]);
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
