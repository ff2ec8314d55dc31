//! Ten thousand live connections to a VIP, while backends come and go, and while their agent is
//! killed and replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use muster_harness::{Cluster, command, ready};
use serde_json::Value;

use crate::streams::{self, Streams};
use crate::support::{WITHIN, await_up, await_vip, cluster, stop};

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

fn maps(cluster: &Cluster) -> Vec<u64> {
    pinned(cluster, 0, "map", &["vips", "backends", "counters", "connections"], "id")
}

fn programs(cluster: &Cluster) -> Vec<u64> {
    pinned(cluster, 0, "link", &["links/connect4", "links/handshake", "links/release"], "prog_id")
}

/// All connections that are `expected` live, each by another exchange; nothing else was lost.
fn prove(streams: &mut Streams, expected: &BTreeMap<String, u64>, when: &str) {
    let exchanged = streams.exchange();
    assert!(exchanged.lost.is_empty(), "{when}: {exchanged:?}");
    assert_eq!(&exchanged.alive, expected, "{when}");
}

/// Kills the first agent, lets `meanwhile` happen, and starts it again.
fn replace_agent(cluster: &mut Cluster, meanwhile: impl FnOnce(&mut Cluster)) {
    cluster.agent(0).daemon().kill().unwrap();
    meanwhile(cluster);
    let registered = |cluster: &Cluster| {
        let state = cluster.master_get("/state").unwrap();
        let agents = state["slaves"].as_array().unwrap();
        let own = agents.iter().find(|agent| agent["hostname"] == "a1").unwrap();
        own["reregistered_time"].as_f64()
    };
    let before = registered(cluster);
    cluster.start_agent(0).unwrap();
    cluster
        .wait_for("the agent to be registered again", WITHIN, |cluster| {
            let now = registered(cluster);
            ready(now > before, || format!("{now:?}, before it was {before:?}"))
        })
        .unwrap();
}

#[test]
fn t90_live_connections_outlive_a_swap_of_backends_and_their_agent() {
    streams::allow(CONNECTIONS);
    let Some(mut cluster) = cluster("t90", 2) else { return };
    cluster.marathon().create(&streams::app(3)).unwrap();
    await_up(&mut cluster, "/streams", 3);
    let vip = await_vip(&mut cluster, 3);
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
    await_backend(&mut cluster, &vip, &address, false);
    assert_eq!(streams.new_ones(&mut cluster, 100), in_use);
    prove(&mut streams, &opened.opened, "after the swap");

    // The agent is killed, and starts again: the same maps, and programs replaced in place.
    let (old_maps, old_programs) = (maps(&cluster), programs(&cluster));
    replace_agent(&mut cluster, |cluster| {
        assert_eq!(streams.new_ones(cluster, 100), in_use);
        prove(&mut streams, &opened.opened, "while the agent is dead");
    });
    assert_eq!(maps(&cluster), old_maps);
    assert!(programs(&cluster).iter().all(|program| !old_programs.contains(program)));
    assert_eq!(streams.new_ones(&mut cluster, 100), in_use);
    prove(&mut streams, &opened.opened, "after the agent has started again");

    // An upgrade to another layout of the maps, which is what `meta` says.
    replace_agent(&mut cluster, |cluster| {
        let meta = format!("/sys/fs/bpf/muster/{}/meta", cluster.agents()[0].name());
        let mut bpftool = Command::new("bpftool");
        bpftool.args(["map", "update", "pinned", &meta, "key", "0", "0", "0", "0", "value"]);
        bpftool.args("1 0 0 0 0 0 0 0".split(' '));
        command::output(&mut bpftool).unwrap();
    });
    await_new_maps(&mut cluster, &old_maps);
    assert_eq!(streams.new_ones(&mut cluster, 100), in_use);
    prove(&mut streams, &opened.opened, "after an upgrade to another layout");

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

/// Waits until every agent sends new connections to the backend, or none does.
fn await_backend(cluster: &mut Cluster, vip: &str, backend: &str, taken: bool) {
    let what = format!("new connections to {backend} to be {taken}");
    cluster
        .wait_for(&what, WITHIN, |cluster| {
            for index in 0..cluster.agents().len() {
                let vips = cluster.vips(index)?;
                let shown = vips.get(vip).and_then(|backends| backends.get(backend));
                ready(shown == Some(&taken), || format!("agent {index} has {vips:?}"))?;
            }
            Ok(())
        })
        .unwrap();
}

fn await_new_maps(cluster: &mut Cluster, old: &[u64]) {
    cluster
        .wait_for("new maps in place of those of another layout", WITHIN, |cluster| {
            let now = maps(cluster);
            ready(now.iter().all(|map| !old.contains(map)), || format!("{now:?}"))
        })
        .unwrap();
}
