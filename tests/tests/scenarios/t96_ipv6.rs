//! A cluster that has IPv6 only, from the master to the tasks.

use std::collections::BTreeSet;
use std::process::Command;

use muster_harness::{Cluster, Options, command, ready};
use serde_json::{Value, json};

use crate::support::{WITHIN, await_up, machines, stop};

/// A VIP given by address.
const WEB: &str = "[fd77::1]:8080";

/// A server that tells its task, behind a VIP by name and one by address, checked by IPv6.
fn web(instances: usize) -> Value {
    let command = "cd \"$MESOS_SANDBOX\"; mkdir page; echo \"task $MESOS_TASK_ID\" > page/index.html; \
                   exec httpd -f -p \"[::]:$PORT0\" -h page";
    json!({
        "id": "/web", "cpus": 0.1, "mem": 64, "instances": instances,
        "container": { "type": "MESOS", "docker": { "image": "busybox" } },
        "constraints": [["hostname", "UNIQUE"]],
        "cmd": command,
        "portDefinitions": [{ "port": 0, "labels": { "VIP_0": "/web:80", "VIP_1": WEB } }],
        "healthChecks": [
            { "protocol": "MESOS_HTTP", "path": "/", "portIndex": 0, "ipProtocol": "IPv6", "delaySeconds": 0,
              "intervalSeconds": 1, "timeoutSeconds": 10, "gracePeriodSeconds": 30 }
        ]
    })
}

/// The pages that curl gets at a VIP from a machine, in so many connections: their first lines.
fn pages(cluster: &Cluster, index: usize, vip: &str, times: usize) -> BTreeSet<String> {
    let client = cluster.agents()[index].client().unwrap();
    let page = || {
        let mut curl = Command::new("curl");
        curl.args([
            "-6",
            "--silent",
            "--show-error",
            "--fail",
            "--max-time",
            "20",
            "--noproxy",
            "*",
        ]);
        // Whom it has connected to, as getpeername says.
        curl.args(["--write-out", "peer [%{remote_ip}]:%{remote_port}", &format!("http://{vip}/")]);
        client.place(&mut curl).unwrap();
        let said = command::output(&mut curl).unwrap();
        assert!(said.ends_with(&format!("peer {vip}")), "{said}");
        said.lines().next().unwrap().strip_prefix("task ").unwrap().to_owned()
    };
    (0..times).map(|_| page()).collect()
}

#[test]
fn t96_ipv6_from_the_master_to_the_tasks() {
    let Some(mut cluster) = machines(&Options::named("t96").agents(2).ipv6()) else { return };
    cluster.start_all().unwrap();
    cluster.marathon().create(&web(2)).unwrap();
    let tasks = await_up(&mut cluster, "/web", 2);
    let ids: BTreeSet<String> = tasks.iter().map(|task| task.id.clone()).collect();
    let vip = cluster.await_vip(80, 2, WITHIN).unwrap();
    assert!(vip.starts_with("[fd01:c::"), "{vip}");
    assert_eq!(cluster.await_vip(8080, 2, WITHIN).unwrap(), WEB);
    let vips = cluster.vips(0).unwrap();
    assert_eq!(vips.len(), 2, "none has an IPv4 address: {vips:?}");
    let backends: BTreeSet<String> = tasks
        .iter()
        .map(|task| {
            let agent = cluster.agents().iter().find(|agent| agent.hostname() == task.host);
            format!("[{}]:{}", agent.unwrap().address(), task.ports[0])
        })
        .collect();
    assert_eq!(vips[&vip].keys().cloned().collect::<BTreeSet<_>>(), backends);

    // A fair choice misses one of two so often with a probability of 1e-18.
    for index in 0..2 {
        assert_eq!(pages(&cluster, index, &vip, 60), ids, "from machine {index}");
        assert_eq!(pages(&cluster, index, WEB, 60), ids, "from machine {index}");
    }

    // The agent's own address serves its view, too: by name, as dcos-net shows it.
    let name = "web.marathon.l4lb.thisdcos.directory:80";
    let shown = cluster.agents()[0].http().get("http://127.0.0.1:62080/v1/vips").unwrap();
    let shown = shown.success().unwrap().json().unwrap();
    let own = shown.as_array().unwrap().iter().find(|shown| shown["vip"] == name).unwrap();
    let ip = cluster.agents()[0].address().to_string();
    assert!(own["backend"].as_array().unwrap().iter().any(|b| b["ip"] == ip.as_str()), "{own}");

    // A restart of the master, which keeps the address, and a loss of a backend.
    cluster.master().daemon().kill().unwrap();
    assert_eq!(pages(&cluster, 0, &vip, 60), ids, "without a master");
    cluster.start_master().unwrap();
    cluster.await_agents().unwrap();
    cluster.marathon().scale("/web", 1).unwrap();
    let left = await_up(&mut cluster, "/web", 1);
    assert_eq!(cluster.await_vip(80, 1, WITHIN).unwrap(), vip);
    cluster
        .wait_for("only the one that is left to answer", WITHIN, |cluster| {
            let pages = pages(cluster, 1, &vip, 5);
            ready(pages == [left[0].id.clone()].into(), || format!("{pages:?}"))
        })
        .unwrap();
    stop(cluster);
}
