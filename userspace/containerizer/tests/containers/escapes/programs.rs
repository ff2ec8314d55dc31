//! The helper's program, of which the container gets hold when a command joins it.

use std::fs;

use muster_containerizer::{CommandSpec, ContainerSpec, ExecStatus, Termination};

use super::super::world::{PATIENCE, helper};
use super::world;

/// As in CVE-2019-5736: a process that comes into the container still is, for a moment or because
/// its command is `/proc/self/exe`, the helper's program on the host.
#[test]
fn the_helpers_program_is_not_written() {
    let Some(world) = world() else { return };
    let before = fs::read(helper()).unwrap();
    let line = "echo ready; exec /escape others-programs $MESOS_SANDBOX/stop";
    world.launch(ContainerSpec { image: Some("escape".into()), ..world.shell("c", line) }).unwrap();
    world.await_output("c", "ready");
    let exec = |command| world.run(world.containerizer().exec("c", command, PATIENCE));
    // Until it has been seen: it is there for a moment.
    let seen = || world.stdout("c").contains("seen");
    for round in 0.. {
        assert!(round < 1000, "never seen");
        if round >= 10 && seen() {
            break;
        }
        let argv = vec!["/proc/self/exe".to_owned()];
        // It is the helper without an order, in the container: it has nothing to do.
        let status = exec(CommandSpec::Argv(argv)).unwrap();
        assert!(matches!(status, ExecStatus::Exited(_) | ExecStatus::Signaled(_)), "{status:?}");
        let status = exec(CommandSpec::Shell("sleep 0.05".into())).unwrap();
        assert_eq!(status, ExecStatus::Exited(0));
    }
    fs::write(world.sandbox("c").join("stop"), "").unwrap();
    assert_eq!(world.wait("c"), Termination::Exited(0));
    let output = world.stdout("c");
    let attempt = output.lines().last().unwrap();
    assert!(attempt.starts_with("others-programs -1 "), "it was opened for writing: {output}");
    let errors = attempt.rsplit(' ').next().unwrap();
    assert!(["{Some(26)}", "{Some(30)}"].contains(&errors), "busy or read-only: {output}");
    assert_eq!(fs::read(helper()).unwrap(), before);
}
