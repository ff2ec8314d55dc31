use muster_api::mesos::{
    ContainerStatus, DiscoveryInfo, HealthCheck, Label as MesosLabel, NetworkInfo, Port, Ports,
    Resource, network_info, value::Ranges,
};

use muster_network::vip::Policy;

use super::*;

type Wanted<'a> = (u32, &'a str, &'a [(&'a str, &'a str)]);

fn labels(labels: &[(&str, &str)]) -> Labels {
    let label =
        |&(key, value): &(&str, &str)| MesosLabel { key: key.into(), value: Some(value.into()) };
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
                ("VIP_1_WEIGHT", "10"),
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
    let weights: Vec<_> = claims.iter().map(|claim| claim.weight).collect();
    assert_eq!(weights, [None, Some(10), None]);
}

#[test]
fn names_that_are_one_when_mangled_are_one_vip() {
    let task = task(vec![
        (31000, "tcp", &[("VIP_0", "/a_b:80"), ("VIP_1", "a-B:80"), ("VIP_1_POLICY", "maglev")]),
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
    let wanted =
        [("web", Protocol::Tcp, 31007), ("", Protocol::Tcp, 31009), ("dns", Protocol::Udp, 31000)];
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
fn only_healthy_running_tasks_take_connections() {
    let status = |state: TaskState, healthy| {
        let mut status = TaskStatus { healthy, ..TaskStatus::default() };
        status.set_state(state);
        status
    };
    let plain = TaskInfo::default();
    let checked = TaskInfo { health_check: Some(HealthCheck::default()), ..TaskInfo::default() };
    assert_eq!(takes(&plain, &status(TaskState::TaskRunning, None)), Some(true));
    assert_eq!(takes(&checked, &status(TaskState::TaskRunning, None)), Some(false));
    assert_eq!(takes(&checked, &status(TaskState::TaskRunning, Some(true))), Some(true));
    assert_eq!(takes(&checked, &status(TaskState::TaskRunning, Some(false))), Some(false));
    assert_eq!(takes(&plain, &status(TaskState::TaskKilling, None)), Some(false));
    assert_eq!(takes(&plain, &status(TaskState::TaskStaging, None)), None);
    assert_eq!(takes(&plain, &status(TaskState::TaskFinished, None)), None);
}
