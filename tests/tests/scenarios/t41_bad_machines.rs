//! Machines that are set up wrongly say what is wrong, and the rest of the cluster goes on.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use muster_harness::daemon::Daemon;
use muster_harness::image::{self, Recipe};
use muster_harness::{Cluster, Options, paths, privileged, ready};
use nix::mount::{MsFlags, mount, umount};
use serde_json::json;

use crate::support::{WITHIN, await_up, cluster, sleeper, stop};

const ENDS_WITHIN: Duration = Duration::from_mins(1);

/// Starts `daemon`, which must end by itself with a failure and one line that has `needles`.
fn assert_refuses(mut daemon: Daemon, needles: &[&str]) {
    daemon.start().unwrap();
    let status = daemon.wait(ENDS_WITHIN).unwrap();
    let log = daemon.log().unwrap();
    assert!(!status.success(), "{log}");
    let clear = log.lines().any(|line| needles.iter().all(|needle| line.contains(needle)));
    assert!(clear, "no line has all of {needles:?}:\n{log}");
    assert!(!log.contains("panicked"), "{log}");
}

/// Starts `agent`, which must keep running and log one line that has `needles`.
fn assert_complains(cluster: &mut Cluster, mut agent: Daemon, needles: &[&str]) {
    agent.start().unwrap();
    cluster
        .wait_for(&format!("a line with {needles:?}"), WITHIN, |_| {
            let log = agent.log()?;
            let clear = log.lines().any(|line| needles.iter().all(|needle| line.contains(needle)));
            ready(clear, || log.clone())
        })
        .unwrap();
    agent.check().unwrap();
    agent.stop().unwrap();
    agent.run_with(&["--recover", "cleanup"]).unwrap();
}

/// An agent like the first one, under a name of its own.
fn like_first(cluster: &mut Cluster, suffix: &str) -> Daemon {
    let name = format!("{}-{suffix}", cluster.id());
    let work = cluster.agents()[0].work().with_file_name(suffix);
    let mut agent = cluster.agent(0).daemon().another(suffix);
    agent.set_flag("--name", &name);
    agent.set_flag("--hostname", suffix);
    agent.set_flag("--cgroups-root", format!("muster/{name}"));
    agent.set_flag("--work-dir", work.join("work").display());
    agent.set_flag("--runtime-dir", work.join("run").display());
    agent.set_flag("--port", 5061);
    agent.set_flag("--vip-port", 61431);
    agent
}

#[test]
fn t41_a_machine_that_lacks_something_says_what_and_how_to_get_it() {
    let Some(mut cluster) = cluster("t41", 1) else { return };
    cluster.marathon().create(&sleeper("/good", 1)).unwrap();
    let good = await_up(&mut cluster, "/good", 1);

    let mut no_bpffs = like_first(&mut cluster, "nobpffs");
    no_bpffs.run_first("umount --lazy /sys/fs/bpf");
    assert_refuses(no_bpffs, &["/sys/fs/bpf", "mount -t bpf"]);
    like_first(&mut cluster, "nobpffs").run_with(&["--recover", "cleanup"]).unwrap();

    let mut no_cgroups = like_first(&mut cluster, "nocgroup");
    no_cgroups.run_first("umount --lazy --types cgroup2 --all");
    assert_refuses(no_cgroups, &["cgroup", "mount -t cgroup2"]);
    like_first(&mut cluster, "nocgroup").run_with(&["--recover", "cleanup"]).unwrap();

    let mut bad_resources = like_first(&mut cluster, "res");
    bad_resources.set_flag("--resources", "cpus:many");
    assert_refuses(bad_resources, &["--resources", "cpus"]);

    let mut port = like_first(&mut cluster, "port");
    port.set_flag("--vip-port", 61421);
    assert_refuses(port, &["61421", "in use"]);

    let second_master = cluster.master().daemon().another("m2");
    assert_refuses(second_master, &["5050", "in use"]);

    assert_eq!(await_up(&mut cluster, "/good", 1), good);
    stop(cluster);
}

#[test]
fn t41_a_second_agent_of_the_same_name_is_refused_and_the_first_goes_on() {
    let Some(mut cluster) = cluster("t41b", 1) else { return };
    cluster.marathon().create(&sleeper("/good", 1)).unwrap();
    let good = await_up(&mut cluster, "/good", 1);
    let name = cluster.agents()[0].name().to_owned();

    // On the same machine the name's pins and cgroups are taken.
    let mut same_machine = like_first(&mut cluster, "again");
    same_machine.set_flag("--name", &name);
    same_machine.set_flag("--cgroups-root", format!("muster/{name}"));
    assert_refuses(same_machine, &["running"]);

    // On another machine nothing stands in its way but the master.
    let mut other_machine = like_first(&mut cluster, "other");
    other_machine.set_flag("--hostname", cluster.agents()[0].hostname());
    assert_complains(&mut cluster, other_machine, &["refuses", "10.88.0.11", "--hostname"]);

    assert_eq!(await_up(&mut cluster, "/good", 1), good);
    stop(cluster);
}

#[test]
fn t41_an_agent_with_a_wrong_master_keeps_trying_and_says_so() {
    let Some(mut cluster) = cluster("t41c", 1) else { return };
    let mut lost = like_first(&mut cluster, "lost");
    lost.set_flag("--master", "10.88.0.250");
    assert_complains(&mut cluster, lost, &["10.88.0.250:5052", "trying again"]);
    stop(cluster);
}

/// A cluster with a small disk as the work directory of the machine that `which` picks.
fn cluster_with_small_disk(
    name: &str,
    agents: usize,
    which: impl FnOnce(&mut Cluster) -> PathBuf,
) -> Option<(Cluster, PathBuf)> {
    if !privileged() {
        return None;
    }
    image::make(Recipe::Busybox, &paths::images()).unwrap();
    let mut cluster = Cluster::machines(&Options::named(name).agents(agents)).unwrap();
    let work = which(&mut cluster);
    fs::create_dir_all(&work).unwrap();
    mount(Some("tmpfs"), &work, Some("tmpfs"), MsFlags::empty(), Some("size=64m")).unwrap();
    cluster.start_all().unwrap();
    Some((cluster, work.join("ballast")))
}

/// Takes the disk away too: then nothing may be left.
fn stop_with_disk(mut cluster: Cluster, ballast: &Path) {
    for index in 0..cluster.agents().len() {
        cluster.agent(index).daemon().stop().unwrap();
        cluster.agent(index).daemon().run_with(&["--recover", "cleanup"]).unwrap();
    }
    cluster.master().daemon().stop().unwrap();
    umount(ballast.parent().unwrap()).unwrap();
    stop(cluster);
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    let block = [7_u8; 4096];
    let error = loop {
        if let Err(error) = file.write_all(&block) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}

#[test]
fn t41_a_full_disk_in_the_masters_work_directory_refuses_changes_and_passes() {
    let picked = cluster_with_small_disk("t41d", 1, |cluster| cluster.master().work().to_owned());
    let Some((mut cluster, ballast)) = picked else { return };
    cluster.marathon().create(&sleeper("/good", 1)).unwrap();
    let good = await_up(&mut cluster, "/good", 1);

    fill(&ballast);
    // What fits into pages that the registry already has may pass; in the end nothing does.
    let refused = (0..5000).find_map(|number| {
        let app = sleeper(&format!("/more{number}"), 0).to_string();
        let answer = cluster.marathon().send("POST", "/v2/apps", Some(&app)).unwrap();
        (answer.status >= 300).then_some(answer)
    });
    let refused = refused.expect("a full disk to refuse something");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("space"), "{refused:?}");
    // Reading goes on, and so does what runs.
    assert_eq!(await_up(&mut cluster, "/good", 1), good);

    fs::remove_file(&ballast).unwrap();
    cluster
        .wait_for("changes to be accepted again", WITHIN, |cluster| {
            cluster.marathon().create(&sleeper("/after", 1)).map(drop)
        })
        .unwrap();
    await_up(&mut cluster, "/after", 1);
    assert_eq!(await_up(&mut cluster, "/good", 1), good);
    stop_with_disk(cluster, &ballast);
}

#[test]
fn t41_a_full_disk_in_an_agents_work_directory_fails_tasks_there_and_passes() {
    let picked =
        cluster_with_small_disk("t41e", 2, |cluster| cluster.agents()[0].work().to_owned());
    let Some((mut cluster, ballast)) = picked else { return };
    cluster.marathon().create(&sleeper("/good", 4)).unwrap();
    let good = await_up(&mut cluster, "/good", 4);

    fill(&ballast);
    let mut both = sleeper("/both", 2);
    both["constraints"] = json!([["hostname", "UNIQUE"]]);
    both["maxLaunchDelaySeconds"] = json!(2);
    cluster.marathon().create(&both).unwrap();
    cluster
        .wait_for("a task to fail for want of space, and one to run elsewhere", WITHIN, |cluster| {
            let state = cluster.marathon().app("/both")?;
            let failure = state["lastTaskFailure"]["message"].as_str().unwrap_or_default();
            ready(failure.contains("space"), || format!("{state}"))?;
            ready(state["tasksRunning"] == 1, || format!("{state}"))
        })
        .unwrap();
    assert_eq!(await_up(&mut cluster, "/good", 4), good);

    fs::remove_file(&ballast).unwrap();
    await_up(&mut cluster, "/both", 2);
    assert_eq!(await_up(&mut cluster, "/good", 4), good);
    stop_with_disk(cluster, &ballast);
}
