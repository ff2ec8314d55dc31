//! Real clients and servers that know nothing of virtual addresses: curl, wrk, nginx, iperf3, a
//! DNS server and dig, busybox; VIPs of several kinds.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use muster_harness::{Cluster, command, ready};
use serde_json::{Value, json};

use crate::support::{EBPF, NFQUEUE, WITHIN, await_up, await_vip, cluster_by, nginx, stop};

/// VIPs given by address.
const WEB: &str = "10.77.0.1:8080";
const ITSELF: &str = "10.77.0.9:81";

/// A program of the machine that serves on its port, behind a VIP in both protocols.
fn server(id: &str, command: &str, vip: &str) -> Value {
    json!({
        "id": id,
        "cpus": 0.1,
        "mem": 64,
        // Where only root looks are servers, too.
        "cmd": format!("PATH=$PATH:/usr/sbin:/sbin; exec {command}"),
        "portDefinitions": [{ "port": 0, "protocol": "udp,tcp", "labels": { "VIP_0": vip } }],
    })
}

/// A container that serves its task's id, and asks at its own VIP and at another, all the time.
fn hairpin() -> Value {
    let command = format!(
        "cd \"$MESOS_SANDBOX\"; mkdir page; echo \"$MESOS_TASK_ID\" > page/index.html; \
         httpd -p \"$PORT0\" -h page; \
         while :; do \
           wget -q -O new http://{ITSELF}/ && mv new own; wget -q -O new http://{WEB}/ && mv new web; \
           sleep 0.2; \
         done"
    );
    json!({
        "id": "/hairpin",
        "cpus": 0.1,
        "mem": 64,
        "container": { "type": "MESOS", "docker": { "image": "busybox" } },
        "cmd": command,
        "portDefinitions": [{ "port": 0, "protocol": "tcp", "labels": { "VIP_0": ITSELF } }],
    })
}

/// Runs a program on a machine, in its agent's cgroup.
fn run(cluster: &Cluster, index: usize, program: &str, arguments: &[&str]) -> String {
    try_run(cluster, index, program, arguments).unwrap()
}

fn try_run(
    cluster: &Cluster,
    index: usize,
    program: &str,
    arguments: &[&str],
) -> Result<String, muster_harness::Error> {
    let mut command = Command::new(program);
    command.args(arguments);
    cluster.agents()[index].client()?.place(&mut command)?;
    command::output(&mut command)
}

/// The VIP of `port`, by address alone, once one backend serves it everywhere.
fn address(cluster: &mut Cluster, port: u16) -> String {
    let vip = cluster.await_vip(port, 1, WITHIN).unwrap();
    vip.split(':').next().unwrap().to_owned()
}

#[test]
fn t92_programs_meet_each_other_through_vips() {
    meet(EBPF);
}

/// Which serves TCP only.
#[test]
fn t92_programs_meet_each_other_through_vips_by_nfqueue() {
    meet(NFQUEUE);
}

fn meet(backend: &str) {
    let Some(mut cluster) = cluster_by(backend, "t92", 2) else { return };
    let with_udp = backend == EBPF;
    let mut web = nginx(2);
    web["portDefinitions"][0]["labels"]["VIP_1"] = json!(WEB);
    let mut more = nginx(1);
    more["id"] = json!("/more");
    for app in [
        web,
        more,
        hairpin(),
        server(
            "/dns",
            "dnsmasq --keep-in-foreground --user=root --group=root --conf-file=/dev/null --pid-file \
             --no-hosts --no-resolv --port=$PORT0 --address=/app.test/192.0.2.7",
            "/dns:53",
        ),
        server("/iperf", "iperf3 --server --port $PORT0", "/iperf:5201"),
    ] {
        cluster.marathon().create(&app).unwrap();
    }
    let mut tasks = await_up(&mut cluster, "/nginx", 2);
    tasks.extend(await_up(&mut cluster, "/more", 1));
    await_up(&mut cluster, "/hairpin", 1);

    // Two applications claim one VIP: it has the backends of both.
    let vip = await_vip(&mut cluster, 3);
    let ids: BTreeSet<String> = tasks.iter().map(|task| task.id.clone()).collect();
    let client = cluster.agents()[1].client().unwrap();
    let mut answered = BTreeSet::new();
    // A fair choice misses one of three so often with a probability of 1e-52.
    for _ in 0..300 {
        let page = client.get(&format!("http://{vip}/")).unwrap().success().unwrap().body;
        answered.insert(page.lines().next().unwrap().strip_prefix("task ").unwrap().to_owned());
        if answered.len() == 3 {
            break;
        }
    }
    assert_eq!(answered, ids);
    // One of them has another, by address, besides.
    let backends = cluster.vips(0).unwrap();
    assert_eq!(backends[WEB].len(), 2, "{backends:?}");

    let said = run(&cluster, 0, "wrk", &["-t1", "-c16", "-d2s", &format!("http://{vip}/")]);
    assert!(said.contains("Requests/sec:"), "{said}");
    assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");

    name_server(&mut cluster, with_udp);
    throughput(&mut cluster, with_udp);

    // Containers of the machine's network, one of which is its VIP's only backend.
    let sandboxes = cluster.sandboxes().unwrap();
    let own = sandboxes.iter().find(|sandbox| sandbox.task.contains("hairpin")).unwrap();
    cluster
        .wait_for("a container to reach itself and others", WITHIN, |_| {
            let read = |name| fs::read_to_string(own.path.join(name)).unwrap_or_default();
            let (itself, web) = (read("own"), read("web"));
            let done = itself.trim() == own.task && web.starts_with("task ");
            ready(done, || format!("{itself:?} {web:?}"))
        })
        .unwrap();
    stop(cluster);
}

/// The same VIP in UDP and TCP. dig takes no answer from anybody but whom it asked.
fn name_server(cluster: &mut Cluster, with_udp: bool) {
    let vip = address(cluster, 53);
    let server = format!("@{vip}");
    let protocols = ["+tcp", "+notcp"];
    for index in 0..2 {
        for protocol in &protocols[..=usize::from(with_udp)] {
            let ask = [server.as_str(), "app.test", protocol, "+tries=1", "+time=5"];
            let answer = cluster
                .wait_for("the name server to answer", WITHIN, |cluster| {
                    let said = try_run(cluster, index, "dig", &ask);
                    ready(said.is_ok(), || said.as_ref().unwrap_err().to_string())?;
                    said
                })
                .unwrap();
            assert!(answer.contains("192.0.2.7"), "{answer}");
            assert!(answer.contains(&format!("SERVER: {vip}#53({vip})")), "{answer}");
        }
    }
}

/// Many segments and datagrams. Whom iperf3 shows as its peer is who getpeername says it is.
fn throughput(cluster: &mut Cluster, with_udp: bool) {
    let vip = address(cluster, 5201);
    let protocols = [&[][..], &["--udp", "--bitrate", "100M"]];
    for more in &protocols[..=usize::from(with_udp)] {
        let mut arguments = vec!["--client", &vip, "--time", "1", "--json"];
        arguments.extend(*more);
        let said = cluster
            .wait_for("iperf3 to serve", WITHIN, |cluster| {
                let said = try_run(cluster, 1, "iperf3", &arguments);
                ready(said.is_ok(), || said.as_ref().unwrap_err().to_string())?;
                said
            })
            .unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["start"]["connected"][0]["remote_host"], vip, "{said}");
        let end = &said["end"];
        let bytes = end["sum_received"]["bytes"].as_u64().or(end["sum"]["bytes"].as_u64());
        assert!(bytes.is_some_and(|bytes| bytes > 1_000_000), "{said}");
    }
}
