//! Offers: what is launched on them, and what is said of the rest.

use muster_api::mesos::scheduler::call;
use muster_api::mesos::value::Scalar;
use muster_api::mesos::{container_info, health_check, image};
use serde_json::json;

use super::world::{World, attribute, launched};

fn nginx() -> serde_json::Value {
    json!({
        "id": "/shop/nginx",
        "container": {"type": "MESOS", "docker": {"image": "nginx"}},
        "portDefinitions": [
            {"port": 0, "name": "web", "labels": {"VIP_0": "/nginx:80"}},
            {"port": 0, "protocol": "udp,tcp"},
        ],
        "healthChecks": [{"protocol": "MESOS_HTTP", "path": "/health", "portIndex": 0}],
        "labels": {"tier": "web", "x/y": "z"},
        "env": {"A": "b", "PORT1": "mine"},
        "cpus": 0.1, "mem": 64, "instances": 3, "taskKillGracePeriodSeconds": 7,
    })
}

#[test]
fn instances_are_spread_over_agents() {
    let mut world = World::new();
    world.create(nginx());
    assert_eq!(world.taken(call::Type::Revive).len(), 1);
    let offers = ["a1", "a2", "a3", "a4"].map(|agent| world.plenty(agent)).to_vec();
    world.offer(offers);
    let accepts = world.taken(call::Type::Accept);
    assert_eq!(accepts.len(), 3);
    assert!(accepts.iter().all(|accept| launched(accept).len() == 1));
    let declined = world.taken(call::Type::Decline);
    let filter = declined[0].decline.as_ref().unwrap().filters.unwrap();
    assert_eq!(filter.refuse_seconds, Some(120.0), "nothing is wanted any more");
    assert_eq!(world.taken(call::Type::Suppress).len(), 1);
}

#[test]
fn the_task_is_as_marathon_makes_it() {
    let mut world = World::new();
    world.create(nginx());
    let offer = world.plenty("a1");
    world.offer(vec![offer]);
    let accept = world.taken(call::Type::Accept).remove(0);
    let task = launched(&accept).remove(0);
    assert_eq!(task.name, "nginx.shop");
    let id = task.task_id.value.as_str();
    assert!(id.starts_with("shop_nginx.instance-") && id.ends_with("._app.1"), "{id}");
    let resource = |name: &str| task.resources.iter().find(|r| r.name == name).unwrap();
    assert_eq!(resource("cpus").scalar, Some(Scalar { value: 0.1 }));
    assert_eq!(resource("mem").scalar, Some(Scalar { value: 64.0 }));
    let ranges = resource("ports").ranges.clone().unwrap().range;
    let held: Vec<u64> = ranges.iter().flat_map(|range| range.begin..=range.end).collect();
    let shown = world.app("/shop/nginx")["tasks"].take();
    let shown = shown.as_array().unwrap().iter().find(|shown| shown["id"] == id).unwrap();
    let shown = shown["ports"].clone();
    let ports: Vec<u64> = shown.as_array().unwrap().iter().map(|p| p.as_u64().unwrap()).collect();
    assert!(held.len() == 2 && ports.iter().all(|port| held.contains(port)));
    assert!(ports.len() == 2 && ports[0] != ports[1]);
    assert!(ports.iter().all(|port| (31_000..=32_000).contains(port)));

    let command = task.command.unwrap();
    assert_eq!((command.shell, command.value), (Some(false), None), "the image's entry point");
    let env: std::collections::BTreeMap<_, _> = command
        .environment
        .unwrap()
        .variables
        .into_iter()
        .map(|variable| (variable.name, variable.value.unwrap()))
        .collect();
    let app = world.app("/shop/nginx");
    for (name, value) in [
        ("MESOS_TASK_ID", id.to_owned()),
        ("MARATHON_APP_ID", "/shop/nginx".into()),
        ("MARATHON_APP_VERSION", app["version"].as_str().unwrap().into()),
        ("MARATHON_APP_DOCKER_IMAGE", "nginx".into()),
        ("MARATHON_APP_RESOURCE_CPUS", "0.1".into()),
        ("MARATHON_APP_RESOURCE_MEM", "64.0".into()),
        ("MARATHON_APP_RESOURCE_DISK", "0.0".into()),
        ("MARATHON_APP_RESOURCE_GPUS", "0".into()),
        ("MARATHON_APP_LABELS", "TIER X_Y".into()),
        ("MARATHON_APP_LABEL_TIER", "web".into()),
        ("MARATHON_APP_LABEL_X_Y", "z".into()),
        ("HOST", "a1.example".into()),
        ("PORT", ports[0].to_string()),
        ("PORT0", ports[0].to_string()),
        ("PORTS", format!("{},{}", ports[0], ports[1])),
        ("PORT_WEB", ports[0].to_string()),
        ("PORT_10000", ports[0].to_string()),
        ("PORT_10001", ports[1].to_string()),
        ("A", "b".into()),
        ("PORT1", "mine".into()),
    ] {
        assert_eq!(env.get(name), Some(&value), "{name}");
    }

    let container = task.container.unwrap();
    assert_eq!(container.r#type(), container_info::Type::Mesos);
    let image = container.mesos.unwrap().image.unwrap();
    assert_eq!(image.r#type(), image::Type::Docker);
    assert_eq!(image.docker.unwrap().name, "nginx");

    let check = task.health_check.unwrap();
    assert_eq!(check.r#type(), health_check::Type::Http);
    let http = check.http.unwrap();
    assert_eq!((u64::from(http.port), http.path.as_deref()), (ports[0], Some("/health")));
    assert_eq!(check.consecutive_failures, Some(3));
    let grace = task.kill_policy.unwrap().grace_period.unwrap();
    assert_eq!(grace.nanoseconds, 7_000_000_000);

    let discovery = task.discovery.unwrap();
    assert_eq!(discovery.name.as_deref(), Some("nginx.shop"));
    let found = discovery.ports.unwrap().ports;
    let protocols: Vec<_> = found.iter().map(|p| p.protocol.as_deref().unwrap()).collect();
    assert_eq!(protocols, ["tcp", "udp", "tcp"]);
    assert_eq!(found[0].name.as_deref(), Some("web"));
    let labels: Vec<_> = found[0]
        .labels
        .as_ref()
        .unwrap()
        .labels
        .iter()
        .map(|l| (l.key.as_str(), l.value.as_deref().unwrap()))
        .collect();
    assert_eq!(labels, [("VIP_0", "/nginx:80"), ("network-scope", "host")]);
}

#[test]
fn terminals() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "top", "tty": true}));
    world.create(json!({"id": "b", "cmd": "top", "tty": false}));
    world.launch(&["a1"]);
    let containers: Vec<_> = world.tasks.values().map(|task| task.container.clone()).collect();
    let [Some(terminal), None] = &containers[..] else { panic!("{containers:?}") };
    assert!(terminal.tty_info.is_some() && terminal.mesos.is_none());
}

#[test]
fn commands_and_arguments() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "sleep $X", "user": "nobody"}));
    world.create(json!({"id": "b", "args": ["/bin/sleep", "5"]}));
    let image = json!({"type": "MESOS", "docker": {"image": "i"}});
    world.create(json!({"id": "c", "args": ["-v"], "container": image}));
    world.launch(&["a1"]);
    let mut commands = world.tasks.values().map(|task| {
        let command = task.command.clone().unwrap();
        (command.shell.unwrap(), command.value, command.arguments, command.user)
    });
    let own = |text: &str| text.to_owned();
    assert_eq!(
        commands.next().unwrap(),
        (true, Some(own("sleep $X")), vec![], Some(own("nobody")))
    );
    let program = vec![own("/bin/sleep"), own("5")];
    assert_eq!(commands.next().unwrap(), (false, Some(own("/bin/sleep")), program, None));
    assert_eq!(commands.next().unwrap(), (false, None, vec![own("-v")], None));
    drop(commands);
    assert!(world.tasks.values().next().unwrap().container.is_none());
}

#[test]
fn at_most_five_go_to_one_offer() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x", "cpus": 0.1, "instances": 12}));
    let offer = world.plenty("a1");
    world.offer(vec![offer]);
    let accept = world.taken(call::Type::Accept).remove(0);
    assert_eq!(launched(&accept).len(), 5);
    let filter = accept.accept.unwrap().filters.unwrap();
    assert_eq!(filter.refuse_seconds, Some(0.0), "more is wanted from this agent");
    let offers = vec![world.plenty("a1"), world.plenty("a2")];
    world.offer(offers);
    let counts: Vec<_> =
        world.taken(call::Type::Accept).iter().map(|call| launched(call).len()).collect();
    assert_eq!(counts, [2, 5], "the agent with fewer gets more");
}

#[test]
fn an_offer_that_does_not_suit_is_refused_for_a_short_time() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x", "cpus": 100}));
    let offer = world.plenty("a1");
    world.offer(vec![offer]);
    let decline = world.taken(call::Type::Decline).remove(0).decline.unwrap();
    assert_eq!(decline.filters.unwrap().refuse_seconds, Some(5.0));
    assert!(world.taken(call::Type::Suppress).is_empty());
    world.create(json!({"id": "b", "cmd": "x"}));
    world.pass(std::time::Duration::from_secs(1));
    assert_eq!(world.taken(call::Type::Revive).len(), 2, "which a new demand cuts short");
}

#[test]
fn offers_are_shared_by_applications() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x", "cpus": 3, "instances": 2}));
    world.create(json!({"id": "b", "cmd": "x", "cpus": 2}));
    world.create(json!({"id": "c", "cmd": "x", "cpus": 0.5}));
    let offer = world.plenty("a1");
    world.offer(vec![offer]);
    let names: Vec<_> = launched(&world.taken(call::Type::Accept)[0])
        .iter()
        .map(|task| task.name.clone())
        .collect();
    assert_eq!(names, ["a", "a", "b"], "3 + 3 + 2 of 8 CPUs");
    assert_eq!(world.queue().len(), 1);
}

#[test]
fn required_ports_are_taken_exactly() {
    let mut world = World::new();
    world.create(json!({
        "id": "a", "cmd": "x", "instances": 2, "requirePorts": true, "cpus": 0.1,
        "portDefinitions": [{"port": 31500}, {"port": 0}],
    }));
    let offers = vec![
        world.some("a1", 1.0, 1024.0, (31_000, 31_400)),
        world.some("a2", 1.0, 1024.0, (31_500, 31_501)),
        world.some("a3", 1.0, 1024.0, (31_500, 31_500)),
    ];
    world.offer(offers);
    let accepts = world.taken(call::Type::Accept);
    assert_eq!(accepts.len(), 1, "each agent has the port once at most");
    let tasks = world.app("a")["tasks"].take();
    assert_eq!(tasks[0]["ports"], json!([31_500, 31_501]));
    assert_eq!(tasks[0]["slaveId"], "a2");
}

#[test]
fn constraints_hold_within_one_round_and_after() {
    let mut world = World::new();
    world.create(json!({
        "id": "a", "cmd": "x", "instances": 4, "cpus": 0.1,
        "constraints": [["hostname", "UNIQUE"], ["rack", "LIKE", "r[12]"]],
    }));
    let mut offers = ["a1", "a2", "a3"].map(|agent| world.plenty(agent)).to_vec();
    for (offer, rack) in offers.iter_mut().zip(["r1", "r2", "r3"]) {
        offer.attributes = vec![attribute("rack", rack)];
    }
    world.offer(offers.clone());
    assert_eq!(world.taken(call::Type::Accept).len(), 2);
    world.offer(offers);
    assert_eq!(world.taken(call::Type::Accept).len(), 0);
    assert_eq!(world.queue()[0]["count"], 2);
    let reasons = world.queue()[0]["lastUnusedOffers"].clone();
    assert!(
        reasons.as_array().unwrap().iter().all(|o| o["reason"] == json!(["UnfulfilledConstraint"]))
    );
}

#[test]
fn groups_are_even_and_spread_inside() {
    let mut world = World::new();
    world.create(json!({
        "id": "a", "cmd": "x", "instances": 6, "cpus": 0.1,
        "constraints": [["rack", "GROUP_BY", "2"]],
    }));
    let mut offers = ["a1", "a2", "a3", "b1"].map(|agent| world.plenty(agent)).to_vec();
    for (offer, rack) in offers.iter_mut().zip(["r1", "r1", "r1", "r2"]) {
        offer.attributes = vec![attribute("rack", rack)];
    }
    world.offer(offers);
    let counts: Vec<_> =
        world.taken(call::Type::Accept).iter().map(|call| launched(call).len()).collect();
    assert_eq!(counts, [1, 1, 1, 3], "three on each rack, one on each agent of the first");
}

#[test]
fn resources_of_other_roles_are_not_touched() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x"}));
    let mut offer = world.plenty("a1");
    for resource in &mut offer.resources {
        resource.reservations = vec![muster_api::mesos::resource::ReservationInfo {
            role: Some("db".into()),
            ..Default::default()
        }];
    }
    world.offer(vec![offer]);
    assert!(world.taken(call::Type::Accept).is_empty());
    assert_eq!(world.queue()[0]["lastUnusedOffers"][0]["reason"], json!(["UnfulfilledRole"]));
}

#[test]
fn without_demand_offers_are_suppressed_and_declined() {
    let mut world = World::new();
    let offer = world.plenty("a1");
    world.offer(vec![offer]);
    let decline = world.taken(call::Type::Decline).remove(0).decline.unwrap();
    assert_eq!(decline.filters.unwrap().refuse_seconds, Some(120.0));
    let subscribe = world.calls.iter().find_map(|call| call.subscribe.clone()).unwrap();
    assert_eq!(subscribe.suppressed_roles, ["*"]);
}
