//! Commands that join a running container.

use std::time::Duration;

use muster_containerizer::{
    CommandSpec, ContainerSpec, Containerizer, Error, ExecStatus, Execution, Secret,
};

use super::world::{PATIENCE, World};

fn exec(world: &World, line: &str, timeout: Duration) -> Result<ExecStatus, Error> {
    world.run(world.containerizer().exec("c", CommandSpec::Shell(line.into()), timeout))
}

/// Whether a process with these arguments is in the container.
async fn is_in(containerizer: &Containerizer, arguments: &str) -> bool {
    let line = format!("ps -o args | grep -qx '{arguments}'");
    let found = containerizer.exec("c", CommandSpec::Shell(line), PATIENCE).await.unwrap();
    found == ExecStatus::Exited(0)
}

fn runs(world: &World, arguments: &str) -> bool {
    world.run(is_in(world.containerizer(), arguments))
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
    // Its own group is only for killing it.
    let own = cgroups.lines().find_map(|line| line.strip_prefix("0::")).unwrap();
    let (of_container, nested) = own.rsplit_once('/').unwrap();
    assert!(nested.starts_with("nested.check-"), "{own}");
    world.assert_in_cgroups("c", &cgroups.replace(own, of_container));
}

#[test]
fn is_killed_with_all_it_forked_when_its_time_is_over() {
    let Some(world) = running() else { return };
    let line = "setsid sleep 1234 & sleep 1235";
    assert_eq!(exec(&world, line, Duration::from_millis(300)).unwrap(), ExecStatus::TimedOut);
    assert!(!runs(&world, "sleep 1234") && !runs(&world, "sleep 1235"));
    assert!(runs(&world, "sleep 1000"), "the container's own command goes on");
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
    assert!(runs(&world, "sleep 1236"));
    task.abort();
    let containerizer = world.containerizer();
    world.run(async { while is_in(containerizer, "sleep 1236").await {} });
}

#[test]
fn what_it_leaves_behind_is_killed_with_its_end() {
    let Some(world) = running() else { return };
    let line = "setsid sleep 1237 >/dev/null 2>&1 & exit 0";
    assert_eq!(exec(&world, line, PATIENCE).unwrap(), ExecStatus::Exited(0));
    assert!(!runs(&world, "sleep 1237"));
    let nested = world.sandbox("c").join("containers");
    assert_eq!(std::fs::read_dir(nested).unwrap().count(), 0);
}

#[test]
fn has_variables_and_a_user_of_its_own() {
    let Some(world) = running() else { return };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let line = "[ $MINE$TWO$THREE = 243 ] && [ $(id -u) = 65534 ]";
    let execution = Execution {
        environment: vec![pair("TWO", "3"), pair("MINE", "2"), pair("TWO", "4")],
        secrets: vec![("THREE".into(), Secret::new("3".into()))],
        user: Some("65534".into()),
        ..CommandSpec::Shell(line.into()).into()
    };
    let status = world.run(world.containerizer().exec("c", execution, PATIENCE)).unwrap();
    assert_eq!(status, ExecStatus::Exited(0));
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
