//! Logs of limited size.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use muster_containerizer::{ContainerSpec, Logger, Rotation, Termination, WindowSize};

use super::world::World;

fn rotated(max_bytes: u64, files: u32) -> Logger {
    let rotation = Rotation { max_bytes, files };
    Logger::Logrotate { stdout: rotation, stderr: rotation }
}

/// What is left of the log, oldest first.
fn text(world: &World, id: &str, numbers: &[u32]) -> String {
    let name = |number: &u32| match number {
        0 => "stdout".to_owned(),
        number => format!("stdout.{number}"),
    };
    let path = |number| world.sandbox(id).join(name(number));
    numbers.iter().map(|number| fs::read_to_string(path(number)).unwrap()).collect()
}

fn lines(from: u32, to: u32) -> String {
    (from..=to).fold(String::new(), |mut text, number| {
        writeln!(text, "{number:07}").unwrap();
        text
    })
}

#[test]
fn the_last_of_what_was_written_is_kept_whole() {
    let Some(mut world) = World::new() else { return };
    world.log_with(rotated(8192, 2));
    let line = "for i in $(seq 1 5000); do printf '%07d\\n' $i; done; echo complaint >&2";
    let spec = ContainerSpec { user: Some("1234:56".into()), ..world.shell("rotating", line) };
    let (ended, _) = world.finish(spec);
    assert_eq!(ended, Termination::Exited(0));
    let kept = text(&world, "rotating", &[2, 1, 0]);
    let first = 5001 - u32::try_from(kept.len()).unwrap() / 8;
    assert_eq!(kept, lines(first, 5000));
    let sandbox = world.sandbox("rotating");
    for name in ["stdout.2", "stdout.1"] {
        let metadata = sandbox.join(name).metadata().unwrap();
        assert_eq!((metadata.len(), metadata.uid(), metadata.gid()), (8192, 1234, 56), "{name}");
    }
    assert!(!sandbox.join("stdout.3").exists());
    assert_eq!(fs::read_to_string(sandbox.join("stderr")).unwrap(), "complaint\n");
    assert_eq!(sandbox.join("stderr").metadata().unwrap().uid(), 1234);
}

#[test]
fn with_a_terminal_or_somebody_attached_too() {
    let Some(mut world) = World::new() else { return };
    world.log_with(rotated(8192, 2));
    let line = "for i in $(seq 1 5000); do printf '%06d\n' $i; done; echo complaint >&2";
    let (rows, columns) = (24, 80);
    for (id, tty) in [("attached", None), ("terminal", Some(WindowSize { rows, columns }))] {
        let user = Some("1234:56".into());
        let spec = ContainerSpec { attach: true, tty, user, ..world.shell(id, line) };
        let (ended, _) = world.finish(spec);
        assert_eq!(ended, Termination::Exited(0));
        let sandbox = world.sandbox(id);
        let kept = text(&world, id, &[2, 1, 0]);
        let complaint = if tty.is_some() { "complaint\r\n" } else { "" };
        let end = if tty.is_some() { "\r\n" } else { "\n" };
        let written =
            (1..=5000).fold(String::new(), |all, number| all + &format!("{number:06}{end}"));
        assert!(kept.len() > 8192 * 2 && (written + complaint).ends_with(&kept), "{id}: {kept}");
        for name in ["stdout.2", "stdout.1"] {
            let metadata = sandbox.join(name).metadata().unwrap();
            assert_eq!(
                (metadata.len(), metadata.uid(), metadata.gid()),
                (8192, 1234, 56),
                "{name}"
            );
        }
        assert!(!sandbox.join("stdout.3").exists());
        let errors = fs::read_to_string(sandbox.join("stderr")).unwrap();
        assert_eq!(errors, if tty.is_some() { "" } else { "complaint\n" });
    }
}

#[test]
fn who_writes_is_held_up_by_no_restart() {
    let Some(mut world) = World::new() else { return };
    world.log_with(rotated(1 << 20, 1));
    // More than a pipe holds, while nobody of ours is there but the helper.
    let line = "echo begin; until [ -e /mnt/mesos/sandbox/go ]; do sleep 0.05; done; \
                for i in $(seq 1 20000); do printf '%07d\\n' $i; done; echo end; sleep 1000";
    world.launch(world.shell("lasting", line)).unwrap();
    world.await_output("lasting", "begin");
    world.stop();
    fs::write(world.sandbox("lasting").join("go"), "").unwrap();
    world.await_output("lasting", "end");
    world.restart();
    world.run(world.containerizer().recover()).unwrap();
    assert_eq!(text(&world, "lasting", &[0]), format!("begin\n{}end\n", lines(1, 20000)));
}

#[test]
fn a_task_has_limits_of_its_own_and_a_full_disk_holds_nobody_up() {
    let Some(mut world) = World::new() else { return };
    world.log_with(rotated(4096, 1));
    let own = |id: &str, name: &str, value: &str| ContainerSpec {
        environment: vec![(name.into(), value.into())],
        ..world.shell(id, "for i in $(seq 1 3000); do printf '%07d\\n' $i; done")
    };
    world.finish(own("larger", "CONTAINER_LOGGER_MAX_STDOUT_SIZE", "1MB"));
    assert_eq!(text(&world, "larger", &[0]), lines(1, 3000));
    let error = world.launch(own("wrong", "CONTAINER_LOGGER_MAX_STDOUT_SIZE", "1")).unwrap_err();
    assert!(error.to_string().contains("CONTAINER_LOGGER_MAX_STDOUT_SIZE"), "{error}");

    let sandbox = world.sandbox("full");
    fs::create_dir_all(&sandbox).unwrap();
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("tmpfs", &sandbox, "tmpfs", flags, c"size=64k").unwrap();
    let spec = own("full", "CONTAINER_LOGGER_MAX_STDOUT_SIZE", "1MB");
    let line = "for i in $(seq 1 20000); do printf '%07d\\n' $i; done";
    let command = Some(muster_containerizer::CommandSpec::Shell(line.into()));
    let (ended, output) = world.finish(ContainerSpec { command, ..spec });
    rustix::mount::unmount(&sandbox, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert_eq!(ended, Termination::Exited(0));
    assert!(output.starts_with("0000001\n") && output.len() <= 64 << 10, "{}", output.len());
}
