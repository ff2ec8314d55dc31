//! The master, or an agent, is killed during a deployment, ten times at different moments.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_harness::{Cluster, interrupt};

use crate::support::{await_gone, await_up, cluster, live_tasks, sleeper, starts, stop};

/// Milliseconds from the acknowledged request to SIGKILL.
const MOMENTS: [u64; 10] = [0, 5, 10, 20, 40, 80, 160, 320, 640, 1280];

const INSTANCES: usize = 10;

/// Deploys an application once for each moment, with `kill` at that moment of the round: there
/// must be ten tasks in the end, each started once, and no other.
fn deploy_and(cluster: &mut Cluster, mut kill: impl FnMut(&mut Cluster, usize)) {
    for (round, moment) in MOMENTS.into_iter().enumerate() {
        let app = format!("/round{round}");
        cluster.marathon().create(&sleeper(&app, INSTANCES)).unwrap();
        interrupt::pause(Duration::from_millis(moment)).unwrap();
        kill(cluster, round);

        let tasks = await_up(cluster, &app, INSTANCES);
        cluster.await_agents().unwrap();
        let ids: BTreeSet<String> = tasks.into_iter().map(|task| task.id).collect();
        assert_eq!(live_tasks(cluster).unwrap(), ids, "killed after {moment} ms");
        let mut starts = starts(cluster);
        // An agent may die between the sandbox and the start, and says then that it did not come
        // to it.
        starts.retain(|task, count| *count > 0 && task.starts_with(&format!("round{round}.")));
        let started: BTreeSet<String> = starts.keys().cloned().collect();
        assert_eq!(started, ids, "killed after {moment} ms: all started ones, and no others, run");
        assert!(
            starts.values().all(|count| *count == 1),
            "killed after {moment} ms, a task started twice: {starts:?}"
        );

        cluster.marathon().delete(&app).unwrap();
        await_gone(cluster, &app);
    }
}

#[test]
fn t20_a_deployment_survives_its_master_being_killed() {
    let Some(mut cluster) = cluster("t20", 3) else { return };
    deploy_and(&mut cluster, |cluster, _| {
        cluster.master().daemon().kill().unwrap();
        cluster.start_master().unwrap();
    });
    stop(cluster);
}

#[test]
fn t21_a_deployment_survives_its_agents_being_killed() {
    let Some(mut cluster) = cluster("t21", 3) else { return };
    deploy_and(&mut cluster, |cluster, round| {
        let index = round % cluster.agents().len();
        cluster.agent(index).daemon().kill().unwrap();
        cluster.start_agent(index).unwrap();
    });
    stop(cluster);
}
