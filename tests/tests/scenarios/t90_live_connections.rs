//! Ten thousand live connections to a VIP, while backends come and go, and while their agent is
//! killed and replaced.

use std::collections::BTreeSet;
use std::process::Command;

use muster_harness::{Cluster, command, ready};
use serde_json::Value;

use crate::streams::{self, Streams};
use crate::support::{WITHIN, await_up, await_vip, cluster, replace_agent, stop};

const CONNECTIONS: u64 = 10_000;

/// Of the data plane of agent `index`, by name: identities of what is pinned, as `bpftool` has
/// them.
fn pinned(cluster: &Cluster, index: usize, kind: &str, names: &[&str], field: &str) -> Vec<u64> {
    let show = |name: &&str| {
        let path = format!("/sys/fs/bpf/muster/{}/{name}", cluster.agents()[index].name());
        let mut bpftool = Command::new("bpftool");
        bpftool.args(["--json", kind, "show", "pinned", &path]);
        let shown: Value = serde_json::from_str(&command::output(&mut bpftool).unwrap()).unwrap();
        shown[field].as_u64().unwrap_or_else(|| panic!("no {field} in {shown}"))
    };
    names.iter().map(show).collect()
}

/// The policies of all VIPs of the first agent: as the kernel's map has them, and by name as the
/// agent tells them.
fn policies(cluster: &Cluster) -> (Vec<Value>, Vec<Value>) {
    let mut bpftool = Command::new("bpftool");
    let path = format!("/sys/fs/bpf/muster/{}/vips", cluster.agents()[0].name());
    bpftool.args(["--json", "map", "dump", "pinned", &path]);
    let dumped: Vec<Value> = serde_json::from_str(&command::output(&mut bpftool).unwrap()).unwrap();
    let agent = &cluster.agents()[0];
    let told = agent.http().get(&format!("http://{}:5051/monitor/vips", agent.address())).unwrap();
    let told = told.success().unwrap().json().unwrap();
    (
        dumped.iter().map(|entry| entry["formatted"]["value"]["policy"].clone()).collect(),
        told["vips"].as_array().unwrap().iter().map(|vip| vip["policy"].clone()).collect(),
    )
}

fn maps(cluster: &Cluster) -> Vec<u64> {
    pinned(cluster, 0, "map", &["vips", "backends", "counters", "connections"], "id")
}

fn programs(cluster: &Cluster) -> Vec<u64> {
    pinned(cluster, 0, "link", &["links/connect4", "links/handshake", "links/release"], "prog_id")
}

#[test]
fn t90_live_connections_outlive_a_swap_of_backends_and_their_agent() {
    streams::allow(CONNECTIONS);
    let Some(mut cluster) = cluster("t90", 2) else { return };
    cluster.marathon().create(&streams::app(3)).unwrap();
    await_up(&mut cluster, "/streams", 3);
    let vip = await_vip(&mut cluster, 3);
    // The label's, not the agent's own.
    assert_eq!(policies(&cluster), (vec![2.into()], vec!["random".into()]));
    let mut streams = Streams::start(&cluster, 0);
    let opened = streams.open(CONNECTIONS, &vip);
    assert!(opened.failed.is_empty(), "{:?}", opened.failed);
    assert_eq!(opened.opened.values().sum::<u64>(), CONNECTIONS);
    assert_eq!(opened.opened.len(), 3, "{opened:?}");
    streams.churn(&vip);

    // Swap: one more backend, and one of the old ones is taken out, but lives.
    cluster.marathon().scale("/streams", 4).unwrap();
    let tasks = await_up(&mut cluster, "/streams", 4);
    let out = tasks.iter().find(|task| opened.opened.contains_key(&task.id)).unwrap();
    let in_use: BTreeSet<String> =
        tasks.iter().filter(|task| task.id != out.id).map(|task| task.id.clone()).collect();
    streams::sicken(&cluster, &out.id);
    let address = streams::address(&cluster, out);
    streams::await_backend(&mut cluster, &vip, &address, false);
    assert_eq!(streams.new_ones(&mut cluster, 100), in_use);
    streams.prove(&opened.opened, "after the swap");

    // The agent is killed, and starts again: the same maps, and programs replaced in place.
    let (old_maps, old_programs) = (maps(&cluster), programs(&cluster));
    replace_agent(&mut cluster, |cluster| {
        assert_eq!(streams.new_ones(cluster, 100), in_use);
        streams.prove(&opened.opened, "while the agent is dead");
    });
    assert_eq!(maps(&cluster), old_maps);
    assert!(programs(&cluster).iter().all(|program| !old_programs.contains(program)));
    assert_eq!(streams.new_ones(&mut cluster, 100), in_use);
    streams.prove(&opened.opened, "after the agent has started again");

    // An upgrade to another layout of the maps, which is what `meta` says.
    replace_agent(&mut cluster, |cluster| {
        let meta = format!("/sys/fs/bpf/muster/{}/meta", cluster.agents()[0].name());
        let mut bpftool = Command::new("bpftool");
        bpftool.args(["map", "update", "pinned", &meta, "key", "0", "0", "0", "0", "value"]);
        bpftool.args("1 0 0 0 0 0 0 0  0 0 0 0 0 0 0 0".split_whitespace());
        command::output(&mut bpftool).unwrap();
    });
    await_new_maps(&mut cluster, &old_maps);
    assert_eq!(streams.new_ones(&mut cluster, 100), in_use);
    streams.prove(&opened.opened, "after an upgrade to another layout");

    // One that really ends takes its own connections with it, and no other's.
    let held = |id: &str| id != out.id && opened.opened.contains_key(id);
    let victim = tasks.iter().find(|task| held(&task.id)).unwrap();
    let path = format!("/v2/apps/streams/tasks/{}", victim.id);
    cluster.marathon().send("DELETE", &path, None).unwrap().success().unwrap();
    cluster
        .wait_for("another in its place", WITHIN, |cluster| {
            let now = cluster.marathon().tasks("/streams")?;
            let replaced = now.len() == 4 && now.iter().all(|task| task.id != victim.id);
            ready(replaced && now.iter().all(|task| task.state == "TASK_RUNNING"), || {
                format!("{now:?}")
            })
        })
        .unwrap();
    let exchanged = streams.exchange();
    let mut expected = opened.opened.clone();
    let ended = expected.remove(&victim.id);
    assert_eq!(exchanged.alive, expected);
    assert!(exchanged.lost.keys().all(|server| *server == victim.id), "{:?}", exchanged.lost);
    assert_eq!(exchanged.lost.get(&victim.id).map(|lost| lost.values().sum()), ended);
    drop(streams);
    stop(cluster);
}

fn await_new_maps(cluster: &mut Cluster, old: &[u64]) {
    cluster
        .wait_for("new maps in place of those of another layout", WITHIN, |cluster| {
            let now = maps(cluster);
            ready(now.iter().all(|map| !old.contains(map)), || format!("{now:?}"))
        })
        .unwrap();
}
