//! An agent is killed: its containers run on and are adopted, and nobody at a VIP notices.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_harness::traffic::Traffic;
use muster_harness::{Cluster, interrupt};

use crate::support::{WITHIN, await_up, await_vip, cluster, nginx, stop};

/// How long the agent stays dead.
const DEAD: Duration = Duration::from_secs(3);

/// Task ids and the first processes of their containers.
fn inits(cluster: &Cluster) -> BTreeMap<String, Option<i32>> {
    let tasks = cluster.marathon().tasks("/nginx").unwrap();
    tasks
        .into_iter()
        .map(|task| {
            let pid = cluster.init_of(&task.id).unwrap().map(nix::unistd::Pid::as_raw);
            (task.id, pid)
        })
        .collect()
}

#[test]
fn t30_containers_outlive_their_agent_and_are_adopted() {
    let Some(mut cluster) = cluster("t30", 3) else { return };
    cluster.marathon().create(&nginx(3)).unwrap();
    await_up(&mut cluster, "/nginx", 3);
    let vip = await_vip(&mut cluster, 3);
    let before = inits(&cluster);
    assert!(before.values().all(Option::is_some), "{before:?}");

    let traffic: Vec<Traffic> = cluster
        .agents()
        .iter()
        .map(|agent| Traffic::start(agent.client().unwrap(), format!("http://{vip}/")))
        .collect();
    for index in 0..cluster.agents().len() {
        cluster.agent(index).daemon().kill().unwrap();
        interrupt::pause(DEAD).unwrap();
        assert_eq!(inits(&cluster), before, "with agent {index} dead");
        cluster.start_agent(index).unwrap();
        cluster.await_agents().unwrap();
        await_up(&mut cluster, "/nginx", 3);
        assert_eq!(inits(&cluster), before, "with agent {index} back");
    }
    for (index, traffic) in traffic.into_iter().enumerate() {
        let tally = traffic.stop();
        assert!(tally.answered > 0);
        assert_eq!((tally.retried, tally.failures.len()), (0, 0), "from {index}: {tally:?}");
    }

    // What was adopted is still watched: it ends, and is replaced.
    let (victim, pid) = before.into_iter().next().unwrap();
    let pid = nix::unistd::Pid::from_raw(pid.unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).unwrap();
    cluster
        .wait_for("the adopted container's end to be seen", WITHIN, |cluster| {
            let tasks = cluster.marathon().tasks("/nginx")?;
            let gone = tasks.iter().all(|task| task.id != victim);
            muster_harness::ready(gone, || format!("{tasks:?}"))
        })
        .unwrap();
    await_up(&mut cluster, "/nginx", 3);
    stop(cluster);
}
