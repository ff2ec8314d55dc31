//! Agents that serve VIPs by NFQUEUE, and go over to eBPF and back.

use std::collections::BTreeSet;
use std::path::Path;

use muster_harness::{Cluster, ready};
use serde_json::json;

use crate::streams::{self, Streams, await_backend};
use crate::support::{
    EBPF, NFQUEUE, WITHIN, await_up, await_vip, cluster_by, nginx, replace_agent, run_on, stop,
};

/// By each means.
const CONNECTIONS: u64 = 10_000;

/// Whether a machine's SYNs to VIPs are queued, and whether programs are attached for them.
fn served_by(cluster: &Cluster, index: usize) -> (bool, bool) {
    let rules = run_on(cluster, index, "iptables", &["-t", "raw", "-S"]);
    let links = format!("/sys/fs/bpf/muster/{}/links/connect4", cluster.agents()[index].name());
    (rules.contains("--match-set minuteman dst,dst"), Path::new(&links).exists())
}

fn await_served(cluster: &mut Cluster, index: usize, wanted: (bool, bool)) {
    cluster
        .wait_for(&format!("agent {index} to serve by {wanted:?}"), WITHIN, |cluster| {
            let now = served_by(cluster, index);
            ready(now == wanted, || format!("{now:?}"))
        })
        .unwrap();
}

/// Starts the first agent again, with VIPs served by other means.
fn switch(cluster: &mut Cluster, backend: &str) {
    replace_agent(cluster, |cluster| cluster.agent(0).daemon().set_flag("--vip-backend", backend));
}

#[test]
fn t95_agents_serve_by_nfqueue_and_go_over_to_ebpf_and_back() {
    streams::allow(CONNECTIONS);
    let Some(mut cluster) = cluster_by(NFQUEUE, "t95", 2) else { return };
    let mut web = nginx(2);
    web["portDefinitions"][0]["labels"] = json!({ "VIP_0": "/nginx:8080" });
    cluster.marathon().create(&web).unwrap();
    cluster.marathon().create(&streams::app(3)).unwrap();
    let pages = await_up(&mut cluster, "/nginx", 2);
    let tasks = await_up(&mut cluster, "/streams", 3);
    let named = cluster.await_vip(8080, 2, WITHIN).unwrap();
    let vip = await_vip(&mut cluster, 3);
    for index in 0..2 {
        assert_eq!(served_by(&cluster, index), (true, false), "agent {index}");
    }

    // Real requests, from both machines to both.
    let ids: BTreeSet<String> = pages.iter().map(|task| task.id.clone()).collect();
    for index in 0..2 {
        let client = cluster.agents()[index].client().unwrap();
        let mut answered = BTreeSet::new();
        for _ in 0..100 {
            let page = client.get(&format!("http://{named}/")).unwrap().success().unwrap().body;
            answered.insert(page.lines().next().unwrap().strip_prefix("task ").unwrap().to_owned());
        }
        assert_eq!(answered, ids);
    }
    // They were counted.
    let shown = cluster.vip_get(0, &format!("/vip/{named}")).unwrap();
    let sum = |field: &str| -> u64 {
        let backends = shown.as_object().unwrap().values();
        backends.map(|backend| backend[field].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("total_sucesses"), sum("total_failures")), (100, 0), "{shown}");

    // Who is unhealthy gets no new connection, and keeps those that it has.
    let mut streams = Streams::start(&cluster, 0);
    let opened = streams.open(CONNECTIONS, &vip);
    assert!(opened.failed.is_empty(), "{:?}", opened.failed);
    assert_eq!(opened.opened.values().sum::<u64>(), CONNECTIONS);
    assert_eq!(opened.opened.len(), 3, "{opened:?}");
    streams.churn(&vip);
    let out = &tasks[0];
    let in_use: BTreeSet<String> = tasks[1..].iter().map(|task| task.id.clone()).collect();
    streams::sicken(&cluster, &out.id);
    let address = streams::address(&cluster, out);
    await_backend(&mut cluster, &vip, &address, false);
    assert_eq!(streams.new_ones(&mut cluster, 100), in_use);
    streams.prove(&opened.opened, "with one unhealthy");

    // To eBPF, and back: those that were open last, and new ones go where they should.
    switch(&mut cluster, EBPF);
    await_served(&mut cluster, 0, (false, true));
    assert_eq!(streams.new_ones(&mut cluster, 100), in_use);
    streams.prove(&opened.opened, "by eBPF");
    // Of a process of their own: there is a limit to each one's files.
    let mut others = Streams::start(&cluster, 0);
    let more = others.open(CONNECTIONS, &vip);
    assert!(more.failed.is_empty(), "{:?}", more.failed);
    assert_eq!(more.opened.values().sum::<u64>(), CONNECTIONS);
    switch(&mut cluster, NFQUEUE);
    await_served(&mut cluster, 0, (true, false));
    assert_eq!(streams.new_ones(&mut cluster, 100), in_use);
    streams.prove(&opened.opened, "by NFQUEUE again");
    others.prove(&more.opened, "by NFQUEUE after eBPF");
    // The other agent's clients meet the same all the time.
    let client = cluster.agents()[1].client().unwrap();
    client.get(&format!("http://{named}/")).unwrap().success().unwrap();
    drop((streams, others));
    stop(cluster);
}
