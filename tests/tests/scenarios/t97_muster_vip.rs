//! `muster vip`, told of a master: what all its agents count, added up.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use muster_harness::{Cluster, command, paths, ready};
use serde_json::Value;

use crate::support::{WITHIN, await_up, await_vip, cluster, nginx, stop};

const NAME: &str = "nginx.marathon.l4lb.thisdcos.directory";

/// `muster vip` with more arguments, on the master's machine, about all its agents.
fn muster(cluster: &mut Cluster, arguments: &[&str]) -> Command {
    let mut muster = Command::new(paths::muster().unwrap());
    muster.args(["vip", "--master-url", &cluster.master_address().to_string()]);
    muster.args(arguments);
    cluster.master().netns().place(&mut muster).unwrap();
    muster
}

fn vip(cluster: &mut Cluster, arguments: &[&str]) -> String {
    command::output(&mut muster(cluster, arguments)).unwrap()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Requests at the VIP from a machine, each on a connection of its own.
fn request(cluster: &Cluster, index: usize, vip: &str, times: usize) {
    let client = cluster.agents()[index].client().unwrap();
    for _ in 0..times {
        client.get(&format!("http://{vip}/")).unwrap().success().unwrap();
    }
}

/// Each agent knows the machines of all, as dcos-net shows them.
fn nodes(cluster: &Cluster) {
    let machines = cluster.agents().iter();
    let wanted: BTreeSet<_> =
        machines.map(|agent| (agent.address().to_string(), agent.hostname().to_owned())).collect();
    for agent in cluster.agents() {
        let answer = agent.http().get("http://127.0.0.1:62080/v1/nodes?force").unwrap();
        let nodes = answer.success().unwrap().json().unwrap();
        let text = |node: &Value, field: &str| node[field].as_str().unwrap().to_owned();
        let nodes = nodes.as_array().unwrap();
        let shown = nodes.iter().map(|node| (text(node, "private_ip"), text(node, "hostname")));
        assert_eq!(shown.collect::<BTreeSet<_>>(), wanted);
        // A moment of this millennium.
        assert!(nodes.iter().all(|node| text(node, "updated").starts_with("20")), "{nodes:?}");
    }
}

#[test]
fn t97_muster_vip_adds_up_what_agents_count() {
    let Some(mut cluster) = cluster("t97", 3) else { return };
    cluster.marathon().create(&nginx(2)).unwrap();
    await_up(&mut cluster, "/nginx", 2);
    let address = await_vip(&mut cluster, 2);
    nodes(&cluster);
    for (index, times) in [3, 5, 7].into_iter().enumerate() {
        request(&cluster, index, &address, times);
    }

    let said = vip(&mut cluster, &["list"]);
    let mut lines = said.lines();
    assert_eq!(words(lines.next().unwrap())[..3], ["NAME", "VIP", "PROTO"], "{said}");
    let row = words(lines.next().unwrap());
    assert_eq!(row[..5], [NAME, &address, "tcp", "p2c-ewma", "2/2"], "{said}");
    assert_eq!(row[5..8], ["0", "15", "0"], "{said}");
    assert_eq!(lines.next(), None);

    let said = vip(&mut cluster, &["show", "nginx", "--json"]);
    let shown: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(shown[0]["name"], NAME);
    let backends = shown[0]["backends"].as_array().unwrap();
    let sum = |field: &str| -> u64 { backends.iter().map(|b| b[field].as_u64().unwrap()).sum() };
    assert_eq!((backends.len(), sum("successes"), sum("failures")), (2, 15, 0), "{shown}");
    let counted: u64 = backends.iter().map(|b| b["latency"]["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, 15, "{shown}");
    let table = vip(&mut cluster, &["show", &address]);
    assert_eq!(table.lines().count(), 4, "{table}");

    // What is new while it watches, from whichever machine.
    let watching = ["--json", "watch", "--interval", "1secs", "--count", "60"];
    let mut watch = muster(&mut cluster, &watching);
    watch.stdout(Stdio::piped());
    let mut child = watch.spawn().unwrap();
    let mut looks = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut look = || -> Value { serde_json::from_str(&looks.next().unwrap().unwrap()).unwrap() };
    let first = look();
    assert_eq!(first[0]["vip"], address.as_str(), "{first}");
    assert_eq!(first[0]["successes_per_second"], Value::Null);
    request(&cluster, 0, &address, 2);
    request(&cluster, 2, &address, 2);
    let mut seen = 0;
    while seen < 4 {
        seen += look()[0]["latency"]["count"].as_u64().unwrap();
    }
    assert_eq!(seen, 4);
    child.kill().unwrap();
    child.wait().unwrap();

    // An agent that does not answer is named and left out.
    cluster.agent(2).daemon().kill().unwrap();
    let gone = cluster.agents()[2].address().to_string();
    let mut muster = muster(&mut cluster, &["list"]);
    let output = muster.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(words(said.lines().nth(1).unwrap())[5..8], ["0", "10", "0"], "{said}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains(&gone), "{complaint}");
    cluster.start_agent(2).unwrap();
    cluster
        .wait_for("all agents to be asked again", WITHIN, |cluster| {
            let state = cluster.master_get("/state")?;
            ready(state["activated_slaves"] == 3.0, || state["activated_slaves"].to_string())
        })
        .unwrap();
    // The counters are the kernel's: what the agent that was killed had counted is there still.
    let said = vip(&mut cluster, &["list"]);
    assert_eq!(words(said.lines().nth(1).unwrap())[5..8], ["0", "19", "0"], "{said}");
    stop(cluster);
}
