//! Containers of operators: signals, removal, sessions.

use std::fs;
use std::os::unix::fs::symlink;

use muster_containerizer::{ContainerSpec, Error, Kind, Origin, Termination};

use super::nested::nested;
use super::world::World;

impl World {
    fn signal(&self, id: &str, signal: i32) -> Result<(), Error> {
        self.run(async { self.containerizer().signal(id, signal) })
    }

    fn remove(&self, id: &str) -> Result<(), Error> {
        self.run(self.containerizer().remove(id))
    }
}

#[test]
fn signals_are_for_the_first_process() {
    let Some(world) = World::new() else { return };
    let line = "trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done";
    world.launch(world.shell("c", line)).unwrap();
    world.await_output("c", "ready");
    world.signal("c", libc::SIGUSR1).unwrap();
    world.await_output("c", "usr1");
    let error = world.signal("c", 0).unwrap_err().to_string();
    assert_eq!(error, "signal: 0 is none of Linux' signals, 1 to 31");
    assert!(matches!(world.signal("x", 9), Err(Error::NotFound { .. })));
    world.signal("c", libc::SIGKILL).unwrap();
    assert_eq!(world.wait("c"), Termination::Signaled(libc::SIGKILL));
    assert!(matches!(world.signal("c", 9), Err(Error::NotRunning { .. })));
}

#[test]
fn one_that_a_process_1_is_spared_of_is_for_the_others() {
    let Some(world) = World::new() else { return };
    world.launch(world.shell("c", "echo ready; sleep 1000; echo over; sleep 1000")).unwrap();
    world.await_output("c", "ready");
    // Nobody dies of this one.
    world.signal("c", libc::SIGWINCH).unwrap();
    assert_eq!(world.containerizer().containers(), [("c".to_owned(), Origin::Agent)]);
    world.signal("c", libc::SIGHUP).unwrap();
    assert_eq!(world.wait("c"), Termination::Signaled(libc::SIGKILL));
}

#[test]
fn what_has_ended_is_removed_with_its_sandbox() {
    let Some(mut world) = World::new() else { return };
    let operated = ContainerSpec { origin: Origin::Operator, ..world.shell("c", "exec sleep 999") };
    world.launch(operated).unwrap();
    let inner = ContainerSpec { origin: Origin::Operator, ..nested("c", "n", "echo in; exit 3") };
    world.launch(inner).unwrap();
    assert_eq!(world.wait("c/n"), Termination::Exited(3));
    assert!(matches!(world.remove("c"), Err(Error::NotEnded { .. })));
    world.restart();
    let mut recovered = world.run(world.containerizer().recover()).unwrap();
    recovered.sort_by(|a, b| a.id.cmp(&b.id));
    let found: Vec<_> = recovered.iter().map(|c| (c.id.as_str(), c.origin)).collect();
    assert_eq!(found, [("c", Origin::Operator), ("c/n", Origin::Operator)]);
    assert_eq!(world.wait("c/n"), Termination::Exited(3));
    let sandbox = world.nested_sandbox("c/n");
    assert!(sandbox.join("stdout").exists());
    world.remove("c/n").unwrap();
    assert!(!sandbox.exists() && sandbox.parent().unwrap().exists());
    world.remove("c/n").unwrap();
    world.signal("c", libc::SIGKILL).unwrap();
    world.wait("c");
    world.remove("c").unwrap();
    assert!(!world.sandbox("c").exists());
    assert!(world.leftovers().is_empty());
}

#[test]
fn a_sandbox_is_not_removed_through_a_link() {
    let Some(world) = World::new() else { return };
    world.launch(world.shell("c", "exec sleep 1000")).unwrap();
    world.launch(nested("c", "n", "true")).unwrap();
    world.wait("c/n");
    // What is in the container around it could do that at any time.
    let elsewhere = world.work().join("elsewhere");
    fs::create_dir_all(elsewhere.join("n")).unwrap();
    let among = world.sandbox("c").join("containers");
    fs::rename(&among, world.sandbox("c").join("moved")).unwrap();
    symlink(&elsewhere, &among).unwrap();
    let error = world.remove("c/n").unwrap_err().to_string();
    assert!(error.contains("sandbox") || error.contains("containers"), "{error}");
    assert!(elsewhere.join("n").exists());
}

#[test]
fn a_session_loses_nothing_that_it_writes() {
    let Some(world) = World::new() else { return };
    world.launch(world.shell("p", "exec sleep 1000")).unwrap();
    let line = "head -c 5000000 /dev/zero | tr '\\0' x; echo end >&2";
    let session = ContainerSpec {
        kind: Kind::Debug,
        image: None,
        origin: Origin::Session,
        attach: true,
        ..nested("p", "s", line)
    };
    let (_, attachment) = world.run(world.containerizer().launch_attached(session)).unwrap();
    // Nobody reads, until it has written more than what others would be lost for.
    let log = world.nested_sandbox("p/s").join("stdout");
    world.await_that("it writes", || fs::metadata(&log).is_ok_and(|log| log.len() > 1 << 20));
    let (mut read, mut said) = (0, String::new());
    world.run(async {
        while let Some(output) = attachment.output().await.unwrap() {
            match output.stream {
                muster_containerizer::Stream::Output => read += output.data.len(),
                muster_containerizer::Stream::Errors => {
                    said.push_str(&String::from_utf8(output.data).unwrap());
                }
            }
        }
    });
    assert_eq!((read, said.as_str()), (5_000_000, "end\n"));
    assert_eq!(world.wait("p/s"), Termination::Exited(0));
}
