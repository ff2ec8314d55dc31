//! Applications in containers of a Docker engine: the forms in which they are given, what is
//! refused, and the tasks they become.

use muster_api::mesos::container_info::Type;
use muster_api::mesos::container_info::docker_info::Network as Mode;
use muster_api::mesos::scheduler::call;
use muster_api::mesos::volume::source;
use muster_api::mesos::{TaskInfo, TaskState, volume};
use muster_services::app::Network;
use muster_services::definition::read;
use serde_json::{Value, json};

use super::world::{World, launched, put};

/// An application behind a bridge, as it is given since Marathon 1.5.
fn bridged() -> Value {
    json!({
        "id": "/web", "cmd": "serve",
        "networks": [{"mode": "container/bridge"}],
        "container": {
            "type": "DOCKER",
            "docker": {
                "image": "nginx:1", "forcePullImage": true, "privileged": true,
                "parameters": [{"key": "hostname", "value": "h"}],
            },
            "portMappings": [
                {"containerPort": 80, "hostPort": 0, "servicePort": 10080, "name": "http",
                 "labels": {"VIP_0": "/web:80"}},
                {"containerPort": 0, "hostPort": 31500, "protocol": "udp,tcp", "servicePort": 10081},
            ],
            "volumes": [
                {"containerPath": "/data", "hostPath": "/srv/data", "mode": "RO"},
                {"containerPath": "/kept", "mode": "RW", "external": {
                    "name": "kept", "provider": "dvdi",
                    "options": {"dvdi/driver": "local", "dvdi/type": "tmpfs"}}},
            ],
        },
        "uris": ["file:///etc/docker.tar.gz"],
        "healthChecks": [{"protocol": "MESOS_HTTP", "portIndex": 0}],
    })
}

/// The same as it was given before.
fn old() -> Value {
    let mut app = bridged();
    app.as_object_mut().unwrap().remove("networks");
    let mappings = app["container"]["portMappings"].take();
    app["container"].as_object_mut().unwrap().remove("portMappings");
    app["container"]["docker"]["network"] = json!("BRIDGE");
    app["container"]["docker"]["portMappings"] = mappings;
    app
}

/// The one task that is launched for `app`, and what is shown of it.
fn task(app: Value) -> (World, TaskInfo, Value) {
    let mut world = World::new();
    world.create(app);
    let offer = world.plenty("a1");
    world.offer(vec![offer]);
    let info = world.taken(call::Type::Accept).iter().flat_map(launched).next().unwrap();
    world.update_with(&info.task_id.value, TaskState::TaskRunning, |status| {
        status.healthy = Some(true);
    });
    let shown = world.app("web");
    (world, info, shown)
}

#[test]
fn both_forms_say_the_same() {
    let spec = read(&bridged(), "*").unwrap().spec;
    assert_eq!(read(&old(), "*").unwrap().spec, spec);
    assert_eq!(spec.network, Network::Bridge);
    let user = json!({
        "id": "/a", "container": {"type": "DOCKER", "docker": {"image": "a", "network": "USER"}},
        "ipAddress": {"networkName": "mine"},
    });
    let new = json!({
        "id": "/a", "container": {"docker": {"image": "a"}},
        "networks": [{"mode": "container", "name": "mine"}],
    });
    let spec = read(&user, "*").unwrap().spec;
    assert_eq!(spec, read(&new, "*").unwrap().spec);
    assert_eq!(spec.network, Network::Container("mine".into()));
    assert!(spec.ports.is_empty());
}

#[test]
fn a_bridged_application_becomes_a_task_with_its_ports_mapped() {
    let (_, info, shown) = task(bridged());
    let container = info.container.as_ref().unwrap();
    let docker = container.docker.as_ref().unwrap();
    assert_eq!((container.r#type(), docker.network()), (Type::Docker, Mode::Bridge));
    assert_eq!(docker.image, "nginx:1");
    assert!(docker.privileged() && docker.force_pull_image());
    assert_eq!(
        (docker.parameters[0].key.as_str(), docker.parameters[0].value.as_str()),
        ("hostname", "h")
    );
    let dynamic = docker.port_mappings[0].host_port;
    assert!((31_000..=32_000).contains(&dynamic));
    let mapped: Vec<_> = docker
        .port_mappings
        .iter()
        .map(|m| (m.host_port, m.container_port, m.protocol().to_owned()))
        .collect();
    let text = str::to_owned;
    let expected =
        [(dynamic, 80, text("tcp")), (31_500, 31_500, text("udp")), (31_500, 31_500, text("tcp"))];
    assert_eq!(mapped, expected);
    // What it is reached at is the host's; what is checked is the container's.
    let ports = info.discovery.as_ref().unwrap().ports.as_ref().unwrap();
    assert_eq!(ports.ports[0].number, dynamic);
    let labels = &ports.ports[0].labels.as_ref().unwrap().labels;
    assert!(labels.iter().any(|l| l.key == "VIP_0" && l.value() == "/web:80"), "{labels:?}");
    assert!(labels.iter().any(|l| l.key == "network-scope" && l.value() == "host"), "{labels:?}");
    assert_eq!(info.health_check.as_ref().unwrap().http.as_ref().unwrap().port, 80);
    let uris = &info.command.as_ref().unwrap().uris;
    assert_eq!((uris[0].value.as_str(), uris[0].extract()), ("file:///etc/docker.tar.gz", true));
    let env = info.command.as_ref().unwrap().environment.as_ref().unwrap();
    let value =
        |name: &str| env.variables.iter().find(|v| v.name == name).map(|v| v.value().to_owned());
    assert_eq!(value("PORT0"), Some(dynamic.to_string()));
    assert_eq!(value("PORT_80"), Some(dynamic.to_string()));
    assert_eq!(value("PORT_HTTP"), Some(dynamic.to_string()));
    assert_eq!(value("PORT1"), Some("31500".into()));
    let [data, kept] = &container.volumes[..] else { panic!("{:?}", container.volumes) };
    assert_eq!((data.host_path(), data.mode()), ("/srv/data", volume::Mode::Ro));
    let source = kept.source.as_ref().unwrap();
    assert_eq!(source.r#type(), source::Type::DockerVolume);
    let kept = source.docker_volume.as_ref().unwrap();
    assert_eq!((kept.name.as_str(), kept.driver()), ("kept", "local"));
    let options = &kept.driver_options.as_ref().unwrap().parameter;
    assert_eq!((options[0].key.as_str(), options[0].value.as_str()), ("type", "tmpfs"));
    assert_eq!(shown["tasks"][0]["ports"], json!([dynamic, 31_500]));
    assert_eq!(shown["tasks"][0]["servicePorts"], json!([10_080, 10_081]));
}

#[test]
fn what_is_shown_can_be_given_back() {
    let (mut world, _, mut shown) = task(bridged());
    assert_eq!(shown["networks"], json!([{"mode": "container/bridge"}]));
    assert!(shown.get("portDefinitions").is_none(), "{shown}");
    let version = shown["version"].clone();
    shown.as_object_mut().unwrap().remove("version");
    let reply = world.ask(put("web", shown));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(world.app("web")["version"], version, "nothing has changed");
    world.update_app("web", json!({"instances": 2}));
    assert_ne!(world.app("web")["version"], version);
    // From the host's network behind a bridge: the ports of the one are not those of the other.
    world.create(json!({"id": "other", "container": {"docker": {"image": "a"}}}));
    let update = json!({"networks": [{"mode": "container/bridge"}]});
    let reply = world.ask(put("other", update));
    assert_eq!(reply.status, 409, "only the deployment is in the way: {reply:?}");
}

#[test]
fn in_a_network_of_its_own_it_may_have_no_host_port() {
    let (_, info, shown) = task(json!({
        "id": "/web", "args": ["serve"],
        "networks": [{"mode": "container", "name": "mine"}],
        "container": {"type": "DOCKER", "docker": {"image": "a"},
            "portMappings": [{"containerPort": 80, "name": "http"}]},
    }));
    let container = info.container.as_ref().unwrap();
    assert_eq!(container.docker.as_ref().unwrap().network(), Mode::User);
    assert_eq!(container.network_infos[0].name(), "mine");
    assert!(container.docker.as_ref().unwrap().port_mappings.is_empty());
    assert!(info.resources.iter().all(|resource| resource.name != "ports"), "{:?}", info.resources);
    let port = &info.discovery.as_ref().unwrap().ports.as_ref().unwrap().ports[0];
    assert_eq!(port.number, 80);
    assert_eq!(port.labels.as_ref().unwrap().labels[0].value(), "container");
    assert_eq!(shown["tasks"][0]["ports"], json!([]));
    let command = info.command.as_ref().unwrap();
    assert_eq!(
        (command.shell(), &command.value, &command.arguments[..]),
        (false, &None, &["serve".to_owned()][..])
    );
}

#[test]
fn a_port_that_must_be_free_is_waited_for() {
    let mut world = World::new();
    world.create(bridged());
    let offer = world.some("a1", 8.0, 8192.0, (31_000, 31_100));
    world.offer(vec![offer]);
    assert!(world.taken(call::Type::Accept).is_empty());
}

#[test]
fn what_makes_no_sense_is_refused_by_its_path() {
    let with = |path: &str, value: Value| {
        let mut app = bridged();
        let (parent, name) = path.rsplit_once('/').unwrap();
        app.pointer_mut(parent).unwrap()[name] = value;
        app
    };
    let volume = |volume: Value| with("/container/volumes", json!([volume]));
    let unchecked = |mut app: Value| {
        app["healthChecks"] = json!([]);
        app
    };
    let mapping = |mapping: Value| unchecked(with("/container/portMappings", json!([mapping])));
    for (app, path) in [
        (with("/container/docker", Value::Null), "/container/docker"),
        (with("/container/docker/image", json!("a b")), "/container/docker/image"),
        (with("/container/docker/network", json!("HOST")), "/networks"),
        (
            with("/container/docker/parameters", json!([{"key": "a"}])),
            "/container/docker/parameters(0)/value",
        ),
        (
            with("/container/docker/portMappings", json!([{"containerPort": 1}])),
            "/container/docker/portMappings",
        ),
        (with("/uris", json!([5])), "/uris(0)"),
        (with("/fetch", json!([{"uri": "http://x/y"}])), "/uris"),
        (with("/portDefinitions", json!([{"port": 0}])), "/portDefinitions"),
        (with("/ports", json!([0])), "/ports"),
        (with("/requirePorts", json!(true)), "/requirePorts"),
        (
            json!({
                "id": "/a", "networks": [{"mode": "container", "name": "n"}],
                "container": {"docker": {"image": "a"},
                    "portMappings": [{"containerPort": 80, "name": "http-api"}]},
                "readinessChecks": [{}],
            }),
            "/readinessChecks(0)/portName",
        ),
        (with("/networks", json!([{"mode": "container"}])), "/networks(0)/name"),
        (
            with("/networks", json!([{"mode": "container/bridge", "name": "x"}])),
            "/networks(0)/name",
        ),
        (with("/networks", json!([{"mode": "overlay"}])), "/networks(0)/mode"),
        (unchecked(with("/networks", json!([{"mode": "host"}]))), "/container/portMappings"),
        (mapping(json!({"containerPort": 65_536})), "/container/portMappings(0)/containerPort"),
        (
            mapping(json!({"containerPort": 80, "hostPort": -1})),
            "/container/portMappings(0)/hostPort",
        ),
        (
            mapping(json!({"containerPort": 80, "protocol": "sctp"})),
            "/container/portMappings(0)/protocol",
        ),
        (
            mapping(json!({"containerPort": 80, "labels": {"VIP_0": "/x"}})),
            "/container/portMappings(0)/labels/VIP_0",
        ),
        (mapping(json!({})), "/container/portMappings(0)"),
        (
            with(
                "/container/portMappings",
                json!([
                    {"containerPort": 1, "hostPort": 31_000}, {"containerPort": 2, "hostPort": 31_000},
                ]),
            ),
            "/container/portMappings",
        ),
        (volume(json!({"hostPath": "/a"})), "/container/volumes(0)/containerPath"),
        (
            volume(json!({"containerPath": "/a", "hostPath": "/b", "mode": "WO"})),
            "/container/volumes(0)/mode",
        ),
        (
            volume(json!({"containerPath": "a", "persistent": {"size": 1}, "hostPath": "b"})),
            "/container/volumes(0)/persistent",
        ),
        (
            volume(json!({"containerPath": "/a", "external": {"name": "n", "provider": "dvdi"}})),
            "/container/volumes(0)/external",
        ),
        (
            volume(json!({"containerPath": "/a", "external": {
                "name": "n", "provider": "other", "options": {"dvdi/driver": "local"}}})),
            "/container/volumes(0)/external/provider",
        ),
    ] {
        let problems = read(&app, "*").unwrap_err().into_list();
        let paths: Vec<_> = problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, [path], "{app}");
    }
}
