//! An application comes up, is reached at its VIP from every machine, grows, shrinks and goes.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use muster_harness::{Cluster, command, ready, sweep};

use crate::support::{
    WITHIN, await_gone, await_up, await_vip, cluster, nginx, sleeper, starts, stop,
};

/// Requests from the machine `index` until `instances` different tasks have answered.
fn tasks_that_answer(
    cluster: &Cluster,
    index: usize,
    vip: &str,
    instances: usize,
) -> BTreeSet<String> {
    let client = cluster.agents()[index].client().unwrap();
    let mut answered = BTreeSet::new();
    // A fair choice misses one of three so often with a probability of 1e-52.
    for _ in 0..300 {
        let page = client.get(&format!("http://{vip}/")).unwrap().success().unwrap().body;
        answered.insert(page.lines().next().unwrap().strip_prefix("task ").unwrap().to_owned());
        if answered.len() == instances {
            break;
        }
    }
    answered
}

#[test]
fn t10_an_application_is_reached_at_its_vip_from_every_machine() {
    let Some(mut cluster) = cluster("t10", 3) else { return };
    cluster.marathon().create(&nginx(3)).unwrap();
    let tasks = await_up(&mut cluster, "/nginx", 3);
    let hosts: BTreeSet<&str> = tasks.iter().map(|task| task.host.as_str()).collect();
    assert_eq!(hosts.len(), 3, "one instance a machine: {tasks:?}");

    let vip = await_vip(&mut cluster, 3);
    assert!(vip.starts_with("11."), "{vip}");
    let ids: BTreeSet<String> = tasks.into_iter().map(|task| task.id).collect();
    for index in 0..3 {
        assert_eq!(tasks_that_answer(&cluster, index, &vip, 3), ids);
    }

    // As minuteman's users ask for it.
    let local = cluster.agents()[0].http().get("http://localhost:61421/vips").unwrap();
    assert!(local.body.contains(&vip), "{local:?}");

    cluster.marathon().delete("/nginx").unwrap();
    await_gone(&mut cluster, "/nginx");
    cluster
        .wait_for("the VIP to have no backend anywhere", WITHIN, |cluster| {
            for index in 0..3 {
                let vips = cluster.vips(index)?;
                ready(vips.values().all(BTreeMap::is_empty), || format!("{vips:?}"))?;
            }
            Ok(())
        })
        .unwrap();
    // Not sent to the network, where it would time out or meet somebody else.
    let mut connect = Command::new("bash");
    connect.args(["-c", &format!("exec 3<>/dev/tcp/{}", vip.replace(':', "/"))]);
    cluster.agents()[0].client().unwrap().place(&mut connect).unwrap();
    let error = command::output(&mut connect).unwrap_err().to_string();
    assert!(error.contains("Connection refused"), "{error}");
    // The namespaces of agents stay, their containers' cgroups and mounts do not.
    let left = sweep::leftovers(cluster.id(), &cluster.agents()[0].work().join("run")).unwrap();
    let containers: Vec<&String> = left
        .iter()
        .filter(|line| {
            line.starts_with("mount") || (line.starts_with("cgroup") && !line.ends_with("[]"))
        })
        .collect();
    assert!(containers.is_empty(), "{containers:#?}");
    stop(cluster);
}

#[test]
fn t11_an_application_grows_and_shrinks() {
    let Some(mut cluster) = cluster("t11", 2) else { return };
    cluster.marathon().create(&sleeper("/sleepers/many", 2)).unwrap();
    let two: BTreeSet<String> = ids(&mut cluster, 2);
    cluster.marathon().scale("/sleepers/many", 7).unwrap();
    let seven = ids(&mut cluster, 7);
    assert!(two.is_subset(&seven), "growing must not restart what runs");
    cluster.marathon().scale("/sleepers/many", 1).unwrap();
    let one = ids(&mut cluster, 1);
    assert!(one.is_subset(&seven), "shrinking must not restart what stays");
    let starts = starts(&cluster);
    assert_eq!(starts.keys().cloned().collect::<BTreeSet<_>>(), seven);
    assert!(starts.values().all(|count| *count == 1), "{starts:?}");
    stop(cluster);
}

fn ids(cluster: &mut Cluster, instances: usize) -> BTreeSet<String> {
    let tasks = await_up(cluster, "/sleepers/many", instances);
    tasks.into_iter().map(|task| task.id).collect()
}
