//! What is accepted, what is refused, and in which words.

use muster_services::definition::read;
use serde_json::{Value, json};

fn errors(document: Value) -> Vec<(String, String)> {
    let problems = read(&document, "*").unwrap_err();
    problems.into_list().into_iter().map(|p| (p.path, p.error)).collect()
}

/// The paths at which `document` is refused.
pub(crate) fn refused(document: Value) -> Vec<String> {
    errors(document).into_iter().map(|(path, _)| path).collect()
}

pub(crate) fn app(fields: Value) -> Value {
    let mut app = json!({ "id": "/a", "cmd": "sleep 1" });
    for (name, value) in fields.as_object().unwrap() {
        app[name] = value.clone();
    }
    app
}

#[test]
fn the_seeds_forms_are_accepted() {
    for document in [
        json!({"id":"nginx","container":{"type":"MESOS","docker":{"image":"nginx"}},
            "portDefinitions":[{"port":0,"labels":{"VIP_0":"/nginx:80"}}],
            "cpus":0.1,"mem":64,"instances":3}),
        json!({"id":"nginx","container":{"type":"MESOS","docker":{"network":"HOST","image":"nginx"}}}),
        json!({"id":"/group/sub/app","args":["/bin/sleep","1"],"ports":[0,0],"uris":[]}),
    ] {
        read(&document, "*").unwrap();
    }
}

#[test]
fn defaults_are_marathons() {
    let definition = read(&json!({"id": "a", "cmd": "x"}), "*").unwrap();
    let spec = definition.spec;
    assert_eq!(definition.instances, 1);
    assert_eq!((spec.cpus, spec.mem, spec.disk), (1.0, 128.0, 0.0));
    assert_eq!(spec.ports.len(), 1);
    assert_eq!(spec.ports[0].name.as_deref(), Some("default"));
    assert_eq!(spec.accepted_resource_roles, ["*"]);
    assert_eq!(
        (spec.backoff.seconds, spec.backoff.factor, spec.backoff.max_seconds),
        (1, 1.15, 300)
    );
    let none = read(&json!({"id": "a", "cmd": "x", "portDefinitions": []}), "*").unwrap();
    assert!(none.spec.ports.is_empty());
}

#[test]
fn unsupported_fields_with_their_defaults_are_fine() {
    read(
        &app(json!({
            "gpus": 0, "dependencies": [], "fetch": [], "uris": [], "secrets": {}, "tty": false,
            "residency": null, "ipAddress": null, "readinessChecks": [], "storeUrls": [],
            "check": null, "executor": "", "networks": [{"mode": "host"}], "labels": {},
            "container": {"type": "MESOS", "volumes": [], "portMappings": []},
        })),
        "*",
    )
    .unwrap();
}

#[test]
fn unsupported_fields_are_refused_by_name() {
    for (fields, path) in [
        (json!({"gpus": 1}), "/gpus"),
        (json!({"dependencies": ["/b"]}), "/dependencies"),
        (json!({"secrets": {"a": {"source": "b"}}}), "/secrets"),
        (json!({"env": {"A": {"secret": "b"}}}), "/env/A"),
        (json!({"ipAddress": {"networkName": "dcos"}}), "/ipAddress"),
        (json!({"residency": {"taskLostBehavior": "WAIT_FOREVER"}}), "/residency"),
        (json!({"check": {"tcp": {}}}), "/check"),
        (json!({"resourceLimits": {"cpus": 2}}), "/resourceLimits"),
        (json!({"executorResources": {"cpus": 2}}), "/executorResources"),
        (json!({"executor": "/my/executor"}), "/executor"),
        (json!({"tty": "yes"}), "/tty"),
        (json!({"role": "web"}), "/role"),
        (json!({"networks": [{"mode": "container", "name": "dcos"}]}), "/networks(0)/mode"),
        (json!({"networks": [{"name": "dcos"}]}), "/networks(0)/mode"),
        (
            json!({"container": {"type": "MESOS", "docker": {"image": "a", "network": "BRIDGE"}}}),
            "/container/docker/network",
        ),
        (
            json!({"container": {"type": "MESOS", "docker": {"image": "a", "network": "USER"}}}),
            "/container/docker/network",
        ),
        (
            json!({"container": {"type": "MESOS", "docker": {"image": "a", "privileged": true}}}),
            "/container/docker/privileged",
        ),
        (
            json!({"container": {"type": "MESOS", "docker": {"image": "a", "parameters": [{}]}}}),
            "/container/docker/parameters",
        ),
        (
            json!({"container": {"docker": {"image": "a", "pullConfig": {"secret": "s"}}}}),
            "/container/docker/pullConfig",
        ),
        (
            json!({"container": {"type": "MESOS", "volumes": [{"containerPath": "d"}]}}),
            "/container/volumes(0)/hostPath",
        ),
        (
            json!({"container": {"type": "MESOS", "portMappings": [{"containerPort": 80}]}}),
            "/container/portMappings",
        ),
        (json!({"container": {"type": "MESOS", "linuxInfo": {}}}), "/container/linuxInfo"),
    ] {
        assert_eq!(refused(app(fields.clone())), [path], "{fields}");
    }
}

#[test]
fn what_needs_a_store_of_secrets_is_refused_as_by_marathon_without_its_feature() {
    let image = json!({"image": "a", "pullConfig": {"secret": "pull"}});
    let volume = json!([{"containerPath": "d", "secret": "file", "hostPath": "/d"}]);
    let app = app(json!({
        "secrets": {"pull": {"source": "pulls"}, "file": {"source": "files"}},
        "env": {"A": {"secret": "file"}},
        "container": {"type": "MESOS", "docker": image, "volumes": volume},
    }));
    let mut errors = errors(app);
    errors.sort();
    let paths: Vec<_> = errors.iter().map(|(path, _)| path.as_str()).collect();
    let expected =
        ["/container/docker/pullConfig", "/container/volumes(0)/secret", "/env/A", "/secrets"];
    assert_eq!(paths, expected);
    for (path, error) in &errors {
        let advice = error.strip_prefix("Feature secrets is not enabled: ");
        assert!(advice.is_some_and(|advice| advice.contains("; ")), "{path}: {error}");
    }
    assert!(errors[0].1.ends_with("agents have credentials by --docker-config"), "{}", errors[0].1);
}

#[test]
fn impossible_values_are_refused_by_path() {
    for (fields, path) in [
        (json!({"cpus": -1}), "/cpus"),
        (json!({"cpus": 0}), "/cpus"),
        (json!({"mem": -0.5}), "/mem"),
        (json!({"mem": 1e300}), "/mem"),
        (json!({"instances": -1}), "/instances"),
        (json!({"instances": 1.5}), "/instances"),
        (json!({"instances": 4_000_000_000_u32}), "/instances"),
        (json!({"id": "/A b"}), "/id"),
        (json!({"id": "/a/tasks"}), "/id"),
        (json!({"id": "/"}), "/id"),
        (json!({"cmd": ""}), "/cmd"),
        (json!({"cmd": "a\u{0}b"}), "/cmd"),
        (json!({"args": ["x"]}), "/args"),
        (json!({"env": {"A=B": "x"}}), "/env/A=B"),
        (json!({"uris": [""]}), "/uris(0)"),
        (json!({"uris": ["/a"], "fetch": [{"uri": "/b"}]}), "/uris"),
        (json!({"fetch": [{"cache": true}]}), "/fetch(0)/uri"),
        (json!({"fetch": [{"uri": "/a", "destPath": "../b"}]}), "/fetch(0)/destPath"),
        (json!({"fetch": [{"uri": "/a", "mode": 5}]}), "/fetch(0)/mode"),
        (json!({"portDefinitions": [{"port": 70000}]}), "/portDefinitions(0)/port"),
        (json!({"portDefinitions": [{"port": -1}]}), "/portDefinitions(0)/port"),
        (json!({"portDefinitions": [{"protocol": "sctp"}]}), "/portDefinitions(0)/protocol"),
        (json!({"portDefinitions": [{"name": "A_b"}]}), "/portDefinitions(0)/name"),
        (json!({"portDefinitions": [{"name": "a"}, {"name": "a"}]}), "/portDefinitions"),
        (json!({"portDefinitions": [{"port": 5}, {"port": 5}]}), "/portDefinitions"),
        (
            json!({"portDefinitions": [{"labels": {"VIP_0": "nginx"}}]}),
            "/portDefinitions(0)/labels/VIP_0",
        ),
        (json!({"labels": {"VIP_PORT0": "/nginx:80"}}), "/labels/VIP_PORT0"),
        (json!({"labels": {"VIP_PORT1": "tcp:///nginx:80"}}), "/labels/VIP_PORT1"),
        (
            json!({"labels": {"vip_port0": "tcp:///nginx:80"}, "portDefinitions": []}),
            "/labels/vip_port0",
        ),
        (json!({"ports": [1], "portDefinitions": [{"port": 2}]}), "/ports"),
        (json!({"backoffFactor": 0.5}), "/backoffFactor"),
        (
            json!({"upgradeStrategy": {"minimumHealthCapacity": 2}}),
            "/upgradeStrategy/minimumHealthCapacity",
        ),
        (
            json!({"unreachableStrategy": {"inactiveAfterSeconds": 5, "expungeAfterSeconds": 1}}),
            "/unreachableStrategy/inactiveAfterSeconds",
        ),
        (json!({"unreachableStrategy": "enabled"}), "/unreachableStrategy"),
        (json!({"killSelection": "NONE"}), "/killSelection"),
        (json!({"acceptedResourceRoles": []}), "/acceptedResourceRoles"),
        (json!({"acceptedResourceRoles": ["web"]}), "/acceptedResourceRoles(0)"),
        (json!({"acceptedResourceRoles": ["*", "*"]}), "/acceptedResourceRoles(1)"),
        (json!({"constraints": [["hostname"]]}), "/constraints(0)"),
        (json!({"constraints": [["hostname", "NEAR"]]}), "/constraints(0)(1)"),
        (json!({"constraints": [["", "UNIQUE"]]}), "/constraints(0)(0)"),
        (json!({"constraints": [["hostname", "UNIQUE", "x"]]}), "/constraints(0)(2)"),
        (json!({"constraints": [["rack", "LIKE", "("]]}), "/constraints(0)(2)"),
        (json!({"constraints": [["rack", "MAX_PER", "many"]]}), "/constraints(0)(2)"),
        (json!({"constraints": [["rack", "LIKE"]]}), "/constraints(0)"),
        (
            json!({"healthChecks": [{"protocol": "MESOS_TCP", "portIndex": 1}]}),
            "/healthChecks(0)/portIndex",
        ),
        (json!({"healthChecks": [{"protocol": "COMMAND"}]}), "/healthChecks(0)/command"),
        (
            json!({"healthChecks": [{"protocol": "MESOS_TCP", "path": "/"}]}),
            "/healthChecks(0)/path",
        ),
        (
            json!({"healthChecks": [{"protocol": "MESOS_TCP", "intervalSeconds": 0}]}),
            "/healthChecks(0)/intervalSeconds",
        ),
        (
            json!({"healthChecks": [{"protocol": "MESOS_TCP"}, {"protocol": "HTTP"}]}),
            "/healthChecks",
        ),
        (json!({"healthChecks": [{"protocol": "ICMP"}]}), "/healthChecks(0)/protocol"),
        (
            json!({"healthChecks": [{"protocol": "MESOS_TCP", "ipProtocol": "IPX"}]}),
            "/healthChecks(0)/ipProtocol",
        ),
        (json!({"healthChecks": [{"protocol": "HTTPS", "path": "/a b"}]}), "/healthChecks(0)/path"),
        (
            json!({"container": {"type": "MESOS", "docker": {"image": ""}}}),
            "/container/docker/image",
        ),
        (json!({"container": {"type": "MESOS", "docker": {}}}), "/container/docker/image"),
        (json!({"container": {"type": "ROCKET"}}), "/container/type"),
        (json!({"surprise": 1}), "/surprise"),
        (json!({"container": {"type": "MESOS", "surprise": 1}}), "/container/surprise"),
        (
            json!({"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}, "instances": 2,
                "upgradeStrategy": {"minimumHealthCapacity": 0, "maximumOverCapacity": 0}}),
            "/instances",
        ),
    ] {
        assert_eq!(refused(app(fields.clone())), [path], "{fields}");
    }
    assert_eq!(refused(json!({"id": "a"})), ["/"]);
    assert_eq!(refused(json!({"cmd": "a"})), ["/id"]);
}

#[test]
fn files_to_fetch_in_both_forms() {
    let fetch = |fields: Value| {
        let fetch = read(&app(fields), "*").unwrap().spec.fetch;
        let [fetch] = <[_; 1]>::try_from(fetch).unwrap();
        (fetch.uri, fetch.extract, fetch.executable, fetch.cache, fetch.dest_path)
    };
    let uri = || "http://h/a.tgz".to_owned();
    assert_eq!(fetch(json!({"uris": [uri()]})), (uri(), true, false, false, None));
    assert!(!fetch(json!({"uris": ["/a.jar"], "fetch": []})).1);
    assert_eq!(fetch(json!({"fetch": [{"uri": uri()}]})), (uri(), true, false, false, None));
    let all = json!({"uri": uri(), "extract": false, "executable": true, "cache": true,
        "destPath": "bin/a"});
    let expected = (uri(), false, true, true, Some("bin/a".to_owned()));
    assert_eq!(fetch(json!({"fetch": [all]})), expected);
}

#[test]
fn several_mistakes_are_named_at_once() {
    let body = read(
        &json!({"id": "/A", "cmd": "x", "cpus": -1, "gpus": 2,
            "portDefinitions": [{"port": 70000}, {"port": -1}], "surprise": true}),
        "*",
    )
    .unwrap_err()
    .into_json();
    assert_eq!(body["message"], "Object is not valid");
    let paths: Vec<_> =
        body["details"].as_array().unwrap().iter().map(|d| d["path"].as_str().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "/gpus",
            "/id",
            "/cpus",
            "/portDefinitions(0)/port",
            "/portDefinitions(1)/port",
            "/surprise"
        ]
    );
}

#[test]
fn wrong_types_are_named_with_their_path() {
    let body = read(&json!({"id": 5, "cmd": ["x"], "cpus": "1"}), "*").unwrap_err().into_json();
    assert_eq!(
        body,
        json!({
            "message": "Invalid JSON",
            "details": [
                {"path": "/id", "errors": ["must be a string, not a number"]},
                {"path": "/cpus", "errors": ["must be a number, not a string"]},
                {"path": "/cmd", "errors": ["must be a string, not an array"]},
            ],
        })
    );
    assert_eq!(refused(json!([])), ["/"]);
    assert_eq!(refused(json!(null)), ["/"]);
}

#[test]
fn every_error_says_something() {
    for document in [json!({}), app(json!({"gpus": 1})), app(json!({"container": {}}))] {
        assert!(errors(document).iter().all(|(_, error)| error.len() > 10));
    }
}

#[test]
fn old_and_new_ports_may_agree() {
    let definition = read(
        &app(json!({"ports": [10_000], "portDefinitions": [{"port": 10_000, "name": "web"}]})),
        "*",
    )
    .unwrap();
    assert_eq!(definition.spec.ports[0].name.as_deref(), Some("web"));
}

proptest::proptest! {
    /// Whatever is sent, the answer is a definition or a list of mistakes, never a panic
    /// and never an empty list.
    #[test]
    fn arbitrary_documents_are_answered(document in arbitrary_app()) {
        if let Err(problems) = read(&document, "*") {
            proptest::prop_assert!(!problems.into_list().is_empty(), "{}", document);
        }
    }
}

fn arbitrary_app() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let names = [
        "id",
        "cmd",
        "args",
        "cpus",
        "instances",
        "container",
        "docker",
        "type",
        "image",
        "portDefinitions",
        "port",
        "labels",
        "VIP_0",
        "healthChecks",
        "protocol",
        "constraints",
        "networks",
        "mode",
        "upgradeStrategy",
        "unreachableStrategy",
        "env",
        "command",
        "value",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-2.0..70_000.0).prop_map(Value::from),
        prop_oneof![
            Just("MESOS"),
            Just("/nginx:80"),
            Just("MESOS_HTTP"),
            Just("COMMAND"),
            Just("UNIQUE"),
            Just("host"),
            Just("HOST"),
            Just("tcp"),
            Just("disabled"),
            Just("")
        ]
        .prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 40, 6, move |inner| {
        let name = proptest::sample::select(names.to_vec());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..8).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())
            }),
        ]
    });
    value.prop_map(|value| match value {
        Value::Object(mut map) => {
            map.entry("id").or_insert("/a".into());
            map.entry("cmd").or_insert("x".into());
            Value::Object(map)
        }
        other => other,
    })
}
