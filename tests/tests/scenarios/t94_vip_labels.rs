//! Labels that ask for virtual addresses. What cannot be given is refused by the path of its field, and what is
//! there goes on; labels of both kinds, and names that are one when they are mangled, lead to their ports.

use std::collections::BTreeSet;

use muster_harness::Cluster;
use serde_json::{Value, json};

use crate::support::{WITHIN, await_up, cluster, stop};

/// What an application asks for wrongly, at which path, and what the answer must speak of.
type Bad = (Value, String, &'static str);

/// Its port's label `VIP_0` has this value.
fn of_port(value: &str, needle: &'static str) -> Bad {
    of_labels(&json!({ "VIP_0": value }), "VIP_0", needle)
}

fn of_labels(labels: &Value, key: &str, needle: &'static str) -> Bad {
    let app = json!({ "portDefinitions": [{ "port": 0, "labels": labels }] });
    (app, format!("/portDefinitions(0)/labels/{key}"), needle)
}

/// It has this label itself, and one port.
fn of_app(key: &str, value: &str, needle: &'static str) -> Bad {
    let app = json!({ "labels": { key: value }, "portDefinitions": [{ "port": 0 }] });
    (app, format!("/labels/{key}"), needle)
}

fn bad() -> Vec<Bad> {
    let special =
        "is a loopback, link-local, multicast, broadcast, reserved or unspecified address";
    let mut all = vec![
        of_port("/web", "has no port: write <name>:<port> or <address>:<port>"),
        of_port("", "has no port"),
        of_port("/web:0", "port \"0\" is not a number from 1 to 65535"),
        of_port("/web:65536", "port \"65536\" is not a number"),
        of_port("/web:-1", "port \"-1\" is not a number"),
        of_port("/web:http", "port \"http\" is not a number"),
        of_port("tcp://10.77.0.1", "port \"//10.77.0.1\" is not a number"),
        of_port("/:80", "the name before the port has no letter or digit"),
        of_port("//.-:80", "the name before the port has no letter or digit"),
        of_labels(
            &json!({ "VIP_0": "/web:80", "VIP_0_POLICY": "round-robin" }),
            "VIP_0_POLICY",
            "write p2c-ewma, least-pending, random or maglev",
        ),
        of_labels(&json!({ "VIP_1_POLICY": "random" }), "VIP_1_POLICY", "give the label \"VIP_1\""),
        of_labels(
            &json!({ "VIP_0": "/web:80", "VIP_0_WEIGHT": "2.5" }),
            "VIP_0_WEIGHT",
            "\"2.5\" is not a whole number from 0 to 65535",
        ),
        of_labels(&json!({ "VIP_1_WEIGHT": "2" }), "VIP_1_WEIGHT", "give the label \"VIP_1\""),
        of_labels(&json!({ "VIP_0": 80 }), "VIP_0", "must be a string"),
        of_app("VIP_PORT0", "/web:80", "write tcp:// or udp:// before the name or address"),
        of_app("VIP_PORT0", "sctp://10.77.0.1:80", "names no protocol that VIPs are for"),
        of_app("vip_port0", "tcp://10.77.0.1:0", "port \"0\" is not a number"),
        of_app("VIP_PORT0", "tcp://", "has no port"),
        of_app("VIP_PORT0", "udp://[ff02::1]:53", special),
        of_app("VIP_PORT1", "tcp://10.77.0.1:80", "there are 1, counted from 0"),
        of_app("VIP_PORT0_POLICY", "random", "give the label \"VIP_PORT0\""),
        (
            json!({ "portDefinitions": [{ "port": 0, "protocol": "sctp" }] }),
            "/portDefinitions(0)/protocol".into(),
            "must be \"tcp\", \"udp\" or \"udp,tcp\"",
        ),
        (
            json!({
                "container": { "type": "DOCKER", "docker": { "image": "busybox" },
                    "portMappings": [{ "containerPort": 80, "labels": { "VIP_0": "/web:0" } }] },
                "networks": [{ "mode": "container/bridge" }],
            }),
            "/container/portMappings(0)/labels/VIP_0".into(),
            "port \"0\" is not a number",
        ),
    ];
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "127.200.0.1",
        "169.254.1.1",
        "224.0.0.1",
        "239.255.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "[::1]",
        "fe80::1",
        "[ff02::1]",
        "::ffff:127.0.0.1",
    ] {
        all.push(of_port(&format!("{address}:80"), special));
    }
    for address in ["11.0.0.5", "[fd01:c::5]", "::ffff:11.255.255.254"] {
        all.push(of_port(&format!("{address}:80"), "is one of the addresses that names are given"));
    }
    all.push(of_app("VIP_PORT0", "tcp://11.0.0.5:80", "write a name, or an address outside"));
    all
}

/// A web server on each of three ports, which tell their number and their task.
fn good() -> Value {
    let command = "cd \"$MESOS_SANDBOX\"; for n in 0 1 2; do mkdir p$n; \
                   echo \"$n $MESOS_TASK_ID\" > p$n/index.html; eval port=\\$PORT$n; \
                   httpd -p $port -h p$n; done; exec sleep 100000";
    json!({
        "id": "/good", "cpus": 0.1, "mem": 64,
        "container": { "type": "MESOS", "docker": { "image": "busybox" } },
        "cmd": command,
        "labels": {
            "VIP_PORT0": "tcp://10.77.1.1:8080",
            "vip_port1": "tcp:///legacy:8081",
            "VIP_PORT1_POLICY_OF_OURS": "no concern of anybody's",
            "VIP_PORT2": "tcp://10.77.1.1:8082",
        },
        "portDefinitions": [
            { "port": 0, "labels": { "VIP_0": "/one_name:80", "VIP_1": "one-Name:80" } },
            { "port": 0 },
            { "port": 0 },
        ],
    })
}

/// What is refused: nothing of it is there, whichever way it comes.
fn refuse_all(cluster: &Cluster) {
    let version = cluster.marathon().app("/good").unwrap()["version"].clone();
    let mut wrong = Vec::new();
    for (fields, path, needle) in bad() {
        let with = |id: &str| {
            let mut app = fields.clone();
            app["id"] = json!(id);
            app["cmd"] = json!("true");
            app
        };
        let of = |prefix: &str| format!("{prefix}{path}");
        for (method, url, body, path) in [
            ("POST", "/v2/apps", with("/bad"), of("")),
            ("PUT", "/v2/apps/bad", with("/bad"), of("")),
            ("PUT", "/v2/apps", json!([with("/fine"), with("/bad")]), of("(0)")),
            ("PUT", "/v2/apps/good?partialUpdate=false", with("/good"), of("")),
            ("PUT", "/v2/apps/good", fields.clone(), of("")),
            ("PATCH", "/v2/apps/good", fields.clone(), of("")),
            ("PATCH", "/v2/apps", json!([with("/good")]), of("(0)")),
        ] {
            let answer = cluster.marathon().send(method, url, Some(&body.to_string())).unwrap();
            let told = answer.json().unwrap_or_default();
            let mentioned = told["details"].as_array().is_some_and(|details| {
                details.iter().any(|detail| {
                    let errors = detail["errors"].as_array().into_iter().flatten();
                    let mut errors = errors.filter_map(Value::as_str);
                    detail["path"] == path && errors.any(|error| error.contains(needle))
                })
            });
            if answer.status != 422 || !mentioned {
                wrong.push(format!(
                    "{method} {url} {body} at {path}: {} {}",
                    answer.status, answer.body
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "answered wrongly:\n{}", wrong.join("\n"));

    // All mistakes of one document are named.
    let both = json!({
        "id": "/bad", "cmd": "true",
        "labels": { "VIP_PORT7": "tcp://10.77.0.1:80" },
        "portDefinitions": [{ "port": 0, "labels": { "VIP_0": "/web", "VIP_1": "127.0.0.1:80" } }],
    });
    let answer = cluster.marathon().send("POST", "/v2/apps", Some(&both.to_string())).unwrap();
    let told = answer.json().unwrap();
    let details = told["details"].as_array().unwrap();
    let paths: BTreeSet<_> = details.iter().filter_map(|detail| detail["path"].as_str()).collect();
    let labels = "/portDefinitions(0)/labels";
    let wanted = [format!("{labels}/VIP_0"), format!("{labels}/VIP_1"), "/labels/VIP_PORT7".into()];
    assert_eq!(paths, wanted.iter().map(String::as_str).collect());

    for id in ["/bad", "/fine"] {
        let there = cluster.marathon().send("GET", &format!("/v2/apps{id}"), None).unwrap();
        assert_eq!(there.status, 404, "{id}");
    }
    assert_eq!(cluster.marathon().app("/good").unwrap()["version"], version);
    assert_eq!(cluster.marathon().get("/v2/deployments").unwrap(), json!([]));
}

/// The page at a VIP, from a machine.
fn page(cluster: &mut Cluster, index: usize, vip: &str) -> String {
    let url = format!("http://{vip}/");
    let what = format!("a page at {url}");
    cluster
        .wait_for(&what, WITHIN, |cluster| {
            let answer = cluster.agents()[index].client()?.get(&url)?.success()?;
            Ok(answer.body.trim().to_owned())
        })
        .unwrap()
}

#[test]
fn t94_labels_are_refused_by_their_path_and_good_ones_lead_to_their_ports() {
    let Some(mut cluster) = cluster("t94", 2) else { return };
    cluster.marathon().create(&good()).unwrap();
    let tasks = await_up(&mut cluster, "/good", 1);
    let id = &tasks[0].id;
    let legacy = cluster.await_vip(8081, 1, WITHIN).unwrap();
    let named = cluster.await_vip(80, 1, WITHIN).unwrap();
    cluster.await_vip(8082, 1, WITHIN).unwrap();
    let wanted = [
        ("10.77.1.1:8080", "0"),
        (legacy.as_str(), "1"),
        ("10.77.1.1:8082", "2"),
        (named.as_str(), "0"),
    ];
    let prove = |cluster: &mut Cluster| {
        for index in 0..2 {
            for (vip, number) in wanted {
                assert_eq!(page(cluster, index, vip), format!("{number} {id}"), "{vip}");
            }
        }
    };
    prove(&mut cluster);

    refuse_all(&cluster);
    prove(&mut cluster);
    assert_eq!(await_up(&mut cluster, "/good", 1), tasks);

    // Another application claims the same name, written in another way, and three times as many connections.
    let mut other = good();
    other["id"] = json!("/other");
    other["labels"] = json!({});
    other["portDefinitions"][0]["labels"] = json!({ "VIP_0": "ONE_NAME:80", "VIP_0_WEIGHT": "3" });
    cluster.marathon().create(&other).unwrap();
    let others = await_up(&mut cluster, "/other", 1);
    assert_eq!(cluster.await_vip(80, 2, WITHIN).unwrap(), named);
    let both = BTreeSet::from([format!("0 {id}"), format!("0 {}", others[0].id)]);
    let mut pages = BTreeSet::new();
    // A fair choice misses one of two so often with a probability of 1e-60.
    for _ in 0..200 {
        pages.insert(page(&mut cluster, 1, &named));
        if pages == both {
            break;
        }
    }
    assert_eq!(pages, both);
    let url = format!("http://{}:5051/monitor/vips", cluster.agents()[1].address());
    let shown = cluster.agents()[1].client().unwrap().get(&url).unwrap().json().unwrap();
    let vip = shown["vips"].as_array().unwrap().iter().find(|vip| vip["vip"] == *named).unwrap();
    let weights: BTreeSet<_> =
        vip["backends"].as_array().unwrap().iter().map(|b| b["weight"].as_u64()).collect();
    assert_eq!(weights, BTreeSet::from([Some(1), Some(3)]), "{vip}");
    stop(cluster);
}
