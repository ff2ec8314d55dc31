//! What a restart of the agent, or the death of a helper, leaves.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use muster_containerizer::{Cause, Containerizer, Error, Origin, Recovered, Termination};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::world::{PATIENCE, World, helper, resources};

const NOTHING: [PathBuf; 0] = [];

fn recover(world: &World) -> Vec<Recovered> {
    world.run(world.containerizer().recover()).unwrap()
}

fn checkpoint(world: &World, id: &str) -> PathBuf {
    world.config.runtime_dir.join("containers").join(id)
}

fn kill(pid: u64) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

fn recorded(world: &World, id: &str, file: &str) -> Value {
    let text = fs::read(checkpoint(world, id).join(file)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Whether the process has ended, waited for or not.
fn is_dead(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    }
}

/// Helpers whose complaints go to a checkpoint of `world`.
fn helpers(world: &World) -> Vec<PathBuf> {
    let ours = fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(|process| {
        let errors = fs::read_link(process.path().join("fd/2"));
        errors.is_ok_and(|errors| errors.starts_with(&world.config.runtime_dir))
    });
    ours.map(|process| process.path()).collect()
}

#[test]
fn running_containers_are_taken_over() {
    let Some(mut world) = World::new() else { return };
    let line = "trap 'exit 6' TERM; echo ready; while :; do sleep 0.01; done";
    let pid = world.launch(world.shell("c", line)).unwrap().pid;
    world.await_output("c", "ready");
    world.restart();
    let expected =
        Recovered { id: "c".into(), pid: Some(pid), termination: None, origin: Origin::Agent };
    assert_eq!(recover(&world), [expected]);
    assert_eq!(recover(&world), [], "known by now");
    assert!(world.containerizer().usage("c").unwrap().processes.unwrap() > 0);
    world.run(world.containerizer().kill("c", PATIENCE)).unwrap();
    assert_eq!(world.wait("c"), Termination::Exited(6));
    world.run(world.containerizer().destroy("c")).unwrap();
    assert_eq!(world.remains("c"), NOTHING);
}

#[test]
fn an_end_while_nobody_watched_is_known() {
    let Some(mut world) = World::new() else { return };
    world
        .launch(world.shell("c", "while [ ! -e $MESOS_SANDBOX/go ]; do sleep 0.01; done; exit 9"))
        .unwrap();
    world.stop();
    fs::write(world.sandbox("c").join("go"), "").unwrap();
    let outcome = checkpoint(&world, "c").join("outcome.json");
    world.await_that("the helper has recorded the end", || outcome.exists());
    world.restart();
    assert_eq!(recover(&world)[0].termination, Some(Termination::Exited(9)));
    assert_eq!(world.wait("c"), Termination::Exited(9));
    // And again, by yet another one.
    world.restart();
    assert_eq!(recover(&world)[0].termination, Some(Termination::Exited(9)));
}

#[test]
fn a_killed_helper_takes_its_container_along() {
    let Some(world) = World::new() else { return };
    let pid = world.launch(world.shell("c", "sleep 1000 & sleep 1000")).unwrap().pid;
    kill(recorded(&world, "c", "helper.json")["pid"].as_u64().unwrap());
    let termination = world.wait("c");
    assert_eq!(termination, Termination::Lost("its launch helper was killed".into()));
    assert!(is_dead(pid));
    for cgroup in world.cgroups("c") {
        assert_eq!(fs::read_to_string(cgroup.join("cgroup.procs")).unwrap(), "");
    }
}

#[test]
fn a_helper_killed_while_nobody_watched() {
    let Some(mut world) = World::new() else { return };
    let pid = world.launch(world.shell("c", "exec sleep 1000")).unwrap().pid;
    let helper = recorded(&world, "c", "helper.json")["pid"].as_u64().unwrap();
    world.stop();
    kill(helper);
    world.await_that("the kernel has killed the container", || is_dead(pid));
    world.restart();
    let lost = Some(Termination::Lost("its launch helper was killed".into()));
    assert_eq!(recover(&world)[0].termination, lost);
    world.restart();
    assert_eq!(recover(&world)[0].termination, lost, "and stays so");
    world.run(world.containerizer().destroy("c")).unwrap();
    assert_eq!(world.remains("c"), NOTHING);
}

#[test]
fn who_was_to_be_killed_for_a_limit_is_killed_by_the_next_one() {
    let Some(mut world) = World::new() else { return };
    world.launch(world.shell("c", "exec sleep 1000")).unwrap();
    world.stop();
    // As far as an agent comes that is killed between the note and the kill.
    let limitation = serde_json::json!({"cause": "Disk", "message": "too much",
        "resources": [{"name": "disk", "milli": 7000}]});
    fs::write(checkpoint(&world, "c").join("limitation.json"), limitation.to_string()).unwrap();
    world.restart();
    recover(&world);
    let Termination::Limited(limited) = world.wait("c") else { panic!("not limited") };
    assert_eq!((limited.cause, limited.message.as_str()), (Cause::Disk, "too much"));
    // And the one after that has it from the checkpoint.
    world.restart();
    assert_eq!(recover(&world)[0].termination, Some(Termination::Limited(limited)));
}

#[test]
fn resources_given_last_are_the_ones_after_a_restart() {
    let Some(mut world) = World::new() else { return };
    world.launch(world.shell("c", "exec sleep 1000")).unwrap();
    world.stop();
    // As far as an agent comes that is killed between the note and the change.
    let given = resources(300, 96 << 20);
    let text = serde_json::to_string(&given).unwrap();
    fs::write(checkpoint(&world, "c").join("resources.json"), text).unwrap();
    world.restart();
    recover(&world);
    let usage = world.containerizer().usage("c").unwrap();
    assert_eq!((usage.cpus_limit, usage.mem_limit_bytes), (Some(0.3), Some(96 << 20)));
}

#[test]
fn a_number_used_again_is_not_taken_for_the_helper() {
    let Some(mut world) = World::new() else { return };
    world.launch(world.shell("c", "exec sleep 1000")).unwrap();
    let mut helper = recorded(&world, "c", "helper.json");
    world.stop();
    kill(helper["pid"].as_u64().unwrap());
    // Somebody else has the numbers now: this test.
    let mut init = recorded(&world, "c", "init.json");
    for (value, file) in [(&mut helper, "helper.json"), (&mut init, "init.json")] {
        value["pid"] = std::process::id().into();
        fs::write(checkpoint(&world, "c").join(file), value.to_string()).unwrap();
    }
    world.restart();
    assert!(matches!(recover(&world)[0].termination, Some(Termination::Lost(_))));
    world.run(world.containerizer().kill("c", Duration::ZERO)).unwrap();
    world.run(world.containerizer().destroy("c")).unwrap();
    assert_eq!(world.remains("c"), NOTHING);
}

#[test]
fn after_another_boot_nothing_runs() {
    let Some(mut world) = World::new() else { return };
    world.launch(world.shell("c", "exit 0")).unwrap();
    world.wait("c");
    world.stop();
    let path = checkpoint(&world, "c");
    let mut container = recorded(&world, "c", "container.json");
    container["boot_id"] = "another".into();
    fs::write(path.join("container.json"), container.to_string()).unwrap();
    fs::remove_file(path.join("outcome.json")).unwrap();
    for cgroup in world.cgroups("c") {
        fs::remove_dir(cgroup).unwrap();
    }
    world.restart();
    let lost = Termination::Lost("the machine was restarted".into());
    assert_eq!(recover(&world)[0].termination, Some(lost));
    world.run(world.containerizer().destroy("c")).unwrap();
    assert_eq!(world.remains("c"), NOTHING);
}

#[test]
fn a_damaged_checkpoint_is_reported_and_destroyed() {
    let Some(mut world) = World::new() else { return };
    world.launch(world.shell("good", "exec sleep 1000")).unwrap();
    world.launch(world.shell("bad", "exec sleep 1000")).unwrap();
    world.stop();
    fs::write(checkpoint(&world, "bad").join("container.json"), "{\"boot").unwrap();
    world.restart();
    let recovered = recover(&world);
    let Some(Termination::Lost(reason)) = &recovered[0].termination else {
        panic!("{recovered:?}");
    };
    assert!(reason.contains("bad/container.json: "), "{reason}");
    assert_eq!(recovered[1].termination, None);
    world.run(world.containerizer().destroy("bad")).unwrap();
    assert_eq!(world.cgroups("bad"), NOTHING);
    assert!(!checkpoint(&world, "bad").exists());
}

#[test]
fn a_full_disk_refuses_launches_and_keeps_ends() {
    let Some(mut world) = World::new() else { return };
    world.use_small_disk();
    let line = "while [ ! -e $MESOS_SANDBOX/go ]; do sleep 0.01; done; exit 7";
    world.launch(world.shell("running", line)).unwrap();
    let filler = world.config.runtime_dir.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let error = world.launch(world.shell("late", "true")).unwrap_err().to_string();
    assert!(error.contains("No space left on device"), "{error}");
    assert_eq!(world.remains("late"), NOTHING);
    assert!(!checkpoint(&world, ".new-late").exists());
    fs::write(world.sandbox("running").join("go"), "").unwrap();
    assert_eq!(world.wait("running"), Termination::Exited(7));
    world.restart();
    assert_eq!(recover(&world)[0].termination, Some(Termination::Exited(7)));
    drop(file);
    fs::remove_file(filler).unwrap();
    world.launch(world.shell("late", "true")).unwrap();
    assert_eq!(world.wait("late"), Termination::Exited(0));
}

#[test]
fn a_runtime_directory_has_one_containerizer() {
    let Some(world) = World::new() else { return };
    let error = Containerizer::new(world.config.clone()).err().unwrap();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
}

/// An agent in a process of its own that launches and destroys until it is killed.
struct Agent(Child);

impl Agent {
    fn start(world: &World) -> Self {
        let agent = Command::new(helper().with_file_name("supervisor"))
            .args([&world.config.image_dir, &world.config.runtime_dir])
            .arg(&world.config.cgroups_root)
            .arg(&world.config.helper)
            .arg(world.work())
            .stdout(Stdio::null())
            .spawn();
        Self(agent.unwrap())
    }

    fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // A second time does no harm.
        self.end();
    }
}

fn pause(world: &World, time: Duration) {
    world.runtime.block_on(async { tokio::time::sleep(time).await });
}

#[test]
fn an_agent_killed_at_any_moment_leaves_nothing_for_good() {
    let Some(mut world) = World::new() else { return };
    // The image's layer is extracted by then.
    world.output("c", "true");
    world.run(world.containerizer().destroy("c")).unwrap();
    // How long it takes an agent here to launch and destroy.
    world.stop();
    let mut agent = Agent::start(&world);
    let begun = Instant::now();
    let second = world.sandbox(&format!("{}-1", agent.0.id()));
    world.await_that("it has destroyed its first container", || second.exists());
    let once = begun.elapsed();
    agent.end();
    let mut ends = [0; 4];
    for round in 0..60 {
        world.stop();
        let mut agent = Agent::start(&world);
        pause(&world, once * 2 * round / 60);
        agent.end();
        world.restart();
        let recovered = recover(&world);
        let end = match recovered.first().map(|container| &container.termination) {
            None => 0,
            Some(None) => 1,
            Some(Some(Termination::Lost(_))) => 2,
            Some(Some(_)) => 3,
        };
        ends[end] += 1;
        for container in &recovered {
            world.run(world.containerizer().destroy(&container.id)).unwrap();
        }
        assert_eq!(world.leftovers(), NOTHING, "{round}");
        world.await_that("helpers without an order have ended", || helpers(&world).is_empty());
    }
    eprintln!("none {}, running {}, lost {}, ended {}", ends[0], ends[1], ends[2], ends[3]);
    assert!(ends[1] > 0, "none was killed while it had a container: {ends:?}");
}

#[test]
fn a_helper_killed_at_any_moment_of_a_launch_leaves_nothing() {
    let Some(world) = World::new() else { return };
    for round in 0..30 {
        let id = format!("c{round}");
        let containerizer = world.containerizer().clone();
        let spec = world.shell(&id, "exec sleep 1000");
        let launch = world.runtime.spawn(async move { containerizer.launch(spec).await });
        world.await_that("there is a helper, or it is over", || {
            checkpoint(&world, &id).join("helper.json").exists() || launch.is_finished()
        });
        pause(&world, Duration::from_micros(300 * round));
        kill(recorded(&world, &id, "helper.json")["pid"].as_u64().unwrap());
        match world.run(launch).unwrap() {
            Ok(_) => assert!(matches!(world.wait(&id), Termination::Lost(_)), "{round}"),
            Err(error) => assert!(matches!(error, Error::Helper { .. }), "{round}: {error}"),
        }
        world.run(world.containerizer().destroy(&id)).unwrap();
        assert_eq!(world.remains(&id), NOTHING, "{round}");
    }
}

/// This process' children that helpers are forked from.
fn nurseries() -> Vec<u32> {
    children("muster-nursery")
}

/// Its children with this name that it has not collected.
fn children(name: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let status = fs::read_to_string(process.path().join("status")).unwrap_or_default();
        let own = format!("PPid:\t{}\n", std::process::id());
        if status.starts_with(&format!("Name:\t{name}\n")) && status.contains(&own) {
            found.push(pid);
        }
    }
    found
}

#[test]
fn helpers_do_without_the_process_they_come_from() {
    let Some(mut world) = World::new() else { return };
    let sleeper = world.launch(world.shell("a", "sleep 1000")).unwrap().pid;
    let [nursery] = nurseries()[..] else { panic!("{:?}", nurseries()) };
    assert!(!is_dead(nursery));
    kill(nursery.into());
    assert_eq!(world.output("b", "echo b"), "b\n", "one was ahead");
    assert_eq!(world.output("c", "echo c"), "c\n", "there is another nursery");
    assert!(!is_dead(sleeper));
    assert!(is_dead(nursery));
    let [_] = nurseries()[..] else { panic!("{:?}", nurseries()) };
    world.await_that("one ahead", || children("muster-spare").len() == 1);
    let [spare] = children("muster-spare")[..] else { panic!("{:?}", children("muster-spare")) };
    kill(spare.into());
    assert_eq!(world.output("d", "echo d"), "d\n", "there are others");
    let [next] = nurseries()[..] else { panic!("{:?}", nurseries()) };
    assert!(!children("muster-spare").contains(&spare), "it is collected");
    world.stop();
    assert_eq!(nurseries(), [0_u32; 0], "{next} ends with who asks it");
    assert_eq!(children("muster-spare"), [0_u32; 0], "as does who is ahead");
    assert!(!is_dead(sleeper));
    world.restart();
    recover(&world);
    world.run(world.containerizer().destroy("a")).unwrap();
}
