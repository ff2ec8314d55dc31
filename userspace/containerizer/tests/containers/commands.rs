//! Commands that join a running container.

use std::time::Duration;

use muster_containerizer::{CommandSpec, ContainerSpec, Error, ExecStatus};

use super::world::{PATIENCE, World};

fn exec(world: &World, line: &str, timeout: Duration) -> Result<ExecStatus, Error> {
    world.run(world.containerizer().exec("c", CommandSpec::Shell(line.into()), timeout))
}

fn running() -> Option<World> {
    let world = World::new()?;
    let mut spec = world.shell("c", "echo ready; exec sleep 1000");
    spec.hostname = Some("inside".into());
    spec.environment = vec![("MINE".into(), "1".into())];
    world.launch(spec).unwrap();
    world.await_output("c", "ready");
    Some(world)
}

#[test]
fn says_how_it_ended() {
    let Some(world) = running() else { return };
    assert_eq!(exec(&world, "exit 0", PATIENCE).unwrap(), ExecStatus::Exited(0));
    assert_eq!(exec(&world, "exit 9", PATIENCE).unwrap(), ExecStatus::Exited(9));
    assert_eq!(exec(&world, "kill -9 $$", PATIENCE).unwrap(), ExecStatus::Signaled(9));
}

#[test]
fn is_inside() {
    let Some(world) = running() else { return };
    let line = "{ hostname; readlink /proc/1/exe; echo $MINE; pwd; grep CapEff /proc/self/status
        cat /proc/self/cgroup; } > $MESOS_SANDBOX/seen; [ $$ -gt 1 ]";
    assert_eq!(exec(&world, line, PATIENCE).unwrap(), ExecStatus::Exited(0));
    let seen = std::fs::read_to_string(world.sandbox("c").join("seen")).unwrap();
    assert!(seen.starts_with("inside\n"), "{seen}");
    let (before, cgroups) = seen.split_once("CapEff:\t00000000a80425fb\n").unwrap();
    assert!(before.ends_with("\n1\n/mnt/mesos/sandbox\n"), "{seen}");
    world.assert_in_cgroups("c", cgroups);
}

#[test]
fn is_killed_with_its_group_when_its_time_is_over() {
    let Some(world) = running() else { return };
    let line = "sleep 1234 & echo $! > $MESOS_SANDBOX/started; sleep 1235";
    assert_eq!(exec(&world, line, Duration::from_millis(300)).unwrap(), ExecStatus::TimedOut);
    let line = "! ps | grep -q 'sleep 123[45]'";
    assert_eq!(exec(&world, line, PATIENCE).unwrap(), ExecStatus::Exited(0));
}

#[test]
fn is_killed_when_nobody_waits_for_it() {
    let Some(world) = running() else { return };
    let line = "echo x > $MESOS_SANDBOX/started; exec sleep 1236";
    let containerizer = world.containerizer().clone();
    let task = world.runtime.spawn(async move {
        containerizer.exec("c", CommandSpec::Shell(line.into()), PATIENCE).await
    });
    let started = world.sandbox("c").join("started");
    world.await_that("the command has started", || started.exists());
    let processes = || world.containerizer().usage("c").unwrap().processes;
    assert_eq!(processes(), Some(2));
    task.abort();
    world.await_that("only the container's own command is left", || processes() == Some(1));
}

#[test]
fn says_why_it_cannot_start() {
    let Some(world) = running() else { return };
    let command = CommandSpec::Argv(vec!["no-such".into()]);
    let error = world.run(world.containerizer().exec("c", command, PATIENCE)).unwrap_err();
    assert!(error.to_string().starts_with("exec no-such: command not found"), "{error}");
    let error = exec(&world, "\0", PATIENCE).unwrap_err();
    assert!(error.to_string().starts_with("command:"), "{error}");
    world.run(world.containerizer().kill("c", Duration::ZERO)).unwrap();
    let error = exec(&world, "true", PATIENCE).unwrap_err();
    assert!(matches!(error, Error::NotRunning { .. }), "{error}");
    let unknown = world.containerizer().exec("d", CommandSpec::Shell("true".into()), PATIENCE);
    let error = world.run(unknown).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn works_without_an_image_and_as_the_containers_user() {
    let Some(world) = World::new() else { return };
    let spec = ContainerSpec {
        image: None,
        user: Some("nobody".into()),
        ..world.shell("c", "echo ready; sleep 1000")
    };
    world.launch(spec).unwrap();
    world.await_output("c", "ready");
    let status = exec(&world, "[ $(id -un) = nobody ] && [ -e stdout ]", PATIENCE).unwrap();
    assert_eq!(status, ExecStatus::Exited(0));
}

#[test]
fn many_at_once() {
    let Some(world) = running() else { return };
    let containerizer = world.containerizer();
    world.run(async {
        let mut commands = tokio::task::JoinSet::new();
        for code in 0..20 {
            let containerizer = containerizer.clone();
            let command = CommandSpec::Shell(format!("exit {code}"));
            commands.spawn(async move {
                (code, containerizer.exec("c", command, PATIENCE).await.unwrap())
            });
        }
        while let Some(ended) = commands.join_next().await {
            let (code, status) = ended.unwrap();
            assert_eq!(status, ExecStatus::Exited(code));
        }
    });
}
