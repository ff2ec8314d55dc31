//! Containers in containers.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use muster_containerizer::{
    Cause, CommandSpec, ContainerSpec, Error, ExecStatus, IpcMode, Kind, Termination, Volume,
    VolumeSource,
};

use super::world::{PATIENCE, World, resources};

const NOTHING: [PathBuf; 0] = [];

impl World {
    /// A container without a command of its own.
    fn pod(&self, id: &str) -> ContainerSpec {
        let spec = self.shell(id, "");
        ContainerSpec { kind: Kind::Pod, image: None, command: None, ..spec }
    }

    /// What it prints until it ends well.
    fn nested_output(&self, spec: ContainerSpec) -> String {
        let name = format!("{}/{}", spec.parent.as_ref().unwrap(), spec.id);
        self.launch(spec).unwrap();
        let termination = self.wait(&name);
        let errors = fs::read_to_string(self.nested_sandbox(&name).join("stderr")).unwrap();
        assert_eq!(termination, Termination::Exited(0), "{errors}");
        self.nested_stdout(&name)
    }

    pub(crate) fn nested_sandbox(&self, name: &str) -> PathBuf {
        self.work().join(name.replace('/', "/containers/"))
    }

    fn nested_stdout(&self, name: &str) -> String {
        fs::read_to_string(self.nested_sandbox(name).join("stdout")).unwrap()
    }

    pub(crate) fn await_nested(&self, name: &str, text: &str) {
        let path = self.nested_sandbox(name).join("stdout");
        let seen = || fs::read_to_string(&path).is_ok_and(|output| output.contains(text));
        self.await_that(&format!("{text} from {name}"), seen);
    }
}

/// A busybox container in `parent` that runs `line` in a shell.
pub(crate) fn nested(parent: &str, id: &str, line: &str) -> ContainerSpec {
    ContainerSpec {
        id: id.into(),
        parent: Some(parent.into()),
        image: Some("busybox".into()),
        command: Some(CommandSpec::Shell(line.into())),
        ..ContainerSpec::default()
    }
}

fn namespace(pid: u32, kind: &str) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap()
}

#[test]
fn killing_a_pod_gives_what_is_in_it_the_time_to_end() {
    let Some(world) = World::new() else { return };
    world.launch(world.pod("p")).unwrap();
    for id in ["a", "b"] {
        let line =
            "trap 'sleep 0.5; echo done; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
        world.launch(nested("p", id, line)).unwrap();
        world.await_nested(&format!("p/{id}"), "ready");
    }
    // And one that does not listen.
    world
        .launch(nested("p", "deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done"))
        .unwrap();
    world.await_nested("p/deaf", "ready");
    world.run(world.containerizer().kill("p", Duration::from_secs(10))).unwrap();
    for id in ["a", "b"] {
        let name = format!("p/{id}");
        assert_eq!(world.wait(&name), Termination::Exited(7));
        assert_eq!(world.nested_stdout(&name), "ready\ndone\n");
    }
    assert_eq!(world.wait("p/deaf"), Termination::Signaled(libc::SIGKILL));
    let error = world.launch(nested("p", "late", "true")).unwrap_err();
    assert!(matches!(error, Error::NotRunning { .. }), "{error}");
    world.run(world.containerizer().destroy("p")).unwrap();
    assert_eq!(world.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn a_pod_holds_what_its_containers_share() {
    let Some(world) = World::new() else { return };
    let pod = ContainerSpec { hostname: Some("the-pod".into()), ..world.pod("p") };
    let holder = world.launch(pod).unwrap().pid;
    let share = |spec| ContainerSpec { ipc_mode: IpcMode::ShareParent, ..spec };
    let first = nested("p", "a", "echo seen >/dev/shm/file; echo ready; exec sleep 1000");
    let first = world.launch(share(first)).unwrap().pid;
    world.await_nested("p/a", "ready");
    let line = "hostname; cat /dev/shm/file; echo $$; pwd; ls /mnt/mesos/sandbox";
    let output = world.nested_output(share(nested("p", "b", line)));
    assert_eq!(output, "the-pod\nseen\n1\n/mnt/mesos/sandbox\nstderr\nstdout\n");
    for kind in ["net", "ipc"] {
        assert_eq!(namespace(holder, kind), namespace(first, kind), "{kind}");
    }
    for kind in ["mnt", "pid"] {
        assert_ne!(namespace(holder, kind), namespace(first, kind), "{kind}");
    }
    // Processes of all of it, if wanted.
    let spec = nested("p", "c", "cat /proc/1/comm; [ $$ -gt 1 ]");
    let spec = ContainerSpec { share_pid_namespace: true, ..spec };
    assert_eq!(world.nested_output(spec), "muster-launch\n");
    // Private means that, also in a pod.
    let line = "[ ! -e /dev/shm/file ]";
    world.nested_output(nested("p", "d", line));
    world.run(world.containerizer().kill("p", PATIENCE)).unwrap();
    assert_eq!(world.wait("p"), Termination::Exited(0));
    assert_eq!(world.wait("p/a"), Termination::Signaled(9), "with its pod");
    world.run(world.containerizer().destroy("p")).unwrap();
    assert_eq!(world.leftovers(), NOTHING);
}

#[test]
fn a_pod_collects_what_is_left_to_it() {
    let Some(world) = World::new() else { return };
    let holder = world.launch(world.pod("p")).unwrap().pid;
    let line = "setsid sh -c 'sleep 0.1; echo orphaned' & exit 0";
    let spec = ContainerSpec { share_pid_namespace: true, ..nested("p", "a", "true") };
    world.nested_output(spec);
    let inside = CommandSpec::Shell(line.into());
    let status = world.run(world.containerizer().exec("p", inside, PATIENCE)).unwrap();
    assert_eq!(status, ExecStatus::Exited(0));
    let children = format!("/proc/{holder}/task/{holder}/children");
    world.await_that("no zombie stays", || fs::read_to_string(&children).unwrap().is_empty());
}

#[test]
fn without_an_image_it_has_its_parents_files() {
    let Some(world) = World::new() else { return };
    let line =
        "echo of-parent >/tmp/file; echo ready; while [ ! -e /tmp/reply ]; do sleep 0.01; done
        cat /tmp/reply; exec sleep 1000";
    world.launch(world.shell("p", &line.replace("/tmp", ""))).unwrap();
    world.await_output("p", "ready");
    let line = "cat /file; echo of-nested >/reply; echo $$; pwd; ls; ls /dev/pts; id -u
        grep -c sandbox /proc/mounts";
    let spec = ContainerSpec { image: None, ..nested("p", "a", line) };
    let output = world.nested_output(spec);
    assert!(
        output.starts_with("of-parent\n1\n/mnt/mesos/sandbox\nstderr\nstdout\nptmx\n0\n"),
        "{output}"
    );
    world.await_output("p", "of-nested");
    // What was mounted in it is not seen around it.
    let inside = CommandSpec::Shell("[ $(grep -c ' /dev/pts ' /proc/mounts) = 1 ]".into());
    let status = world.run(world.containerizer().exec("p", inside, PATIENCE)).unwrap();
    assert_eq!(status, ExecStatus::Exited(0));
}

#[test]
fn a_debug_container_is_in_its_parents_place() {
    let Some(world) = World::new() else { return };
    let environment = vec![("A".into(), "1".into()), ("B".into(), "2".into())];
    let line = "echo ready >/state; echo ready; exec sleep 1000";
    let spec = ContainerSpec { environment, ..world.shell("p", line) };
    let parent = world.launch(spec).unwrap().pid;
    world.await_output("p", "ready");
    let line =
        "cat /state; echo $A $B $C; cat /proc/1/cmdline | tr '\\0' ' '; echo; pwd; sleep 1000";
    let debug = ContainerSpec {
        kind: Kind::Debug,
        image: None,
        environment: vec![("B".into(), "3".into()), ("C".into(), "4".into())],
        ..nested("p", "d", line)
    };
    let pid = world.launch(debug).unwrap().pid;
    world.await_nested("p/d", "/mnt");
    let output = world.nested_stdout("p/d");
    assert_eq!(output, "ready\n1 3 4\nsleep 1000 \n/mnt/mesos/sandbox\n");
    for kind in ["mnt", "pid", "uts", "ipc", "net"] {
        assert_eq!(namespace(pid, kind), namespace(parent, kind), "{kind}");
    }
    world.run(world.containerizer().destroy("p/d")).unwrap();
    assert!(world.containerizer().usage("p").is_ok(), "its parent goes on");
    let image = ContainerSpec { kind: Kind::Debug, ..nested("p", "e", "true") };
    let error = world.launch(image).unwrap_err().to_string();
    assert_eq!(error, "image: a container of the kind Debug has its parent's");
}

#[test]
fn destroying_one_destroys_what_is_in_it() {
    let Some(world) = World::new() else { return };
    world.launch(world.pod("p")).unwrap();
    world.launch(nested("p", "a", "exec sleep 1000")).unwrap();
    world.launch(nested("p/a", "b", "exec sleep 1000")).unwrap();
    let own = ContainerSpec {
        own_cgroups: true,
        resources: resources(100, 32 << 20),
        ..nested("p/a/b", "c", "exec sleep 1000")
    };
    world.launch(own).unwrap();
    let error = world.launch(nested("p/a", "b", "true")).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    // The same id at another place is another container.
    world.nested_output(nested("p", "b", "true"));
    world.run(world.containerizer().destroy("p/a")).unwrap();
    let error = world.run(world.containerizer().wait("p/a/b/c")).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let error = world.launch(nested("p/a", "x", "true")).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    world.launch(nested("p", "a", "exec sleep 1000")).unwrap();
    world.run(world.containerizer().destroy("p")).unwrap();
    assert_eq!(world.leftovers(), NOTHING);
}

#[test]
fn the_end_of_one_is_the_end_of_what_is_in_it() {
    let Some(world) = World::new() else { return };
    for shared in [false, true] {
        let line = "until [ -e $MESOS_SANDBOX/go ]; do sleep 0.01; done; exit 3";
        let parent = ContainerSpec { share_pid_namespace: shared, ..world.shell("p", line) };
        world.launch(parent).unwrap();
        let line = "setsid sleep 1000 & exec sleep 1000";
        let spec = ContainerSpec { share_pid_namespace: shared, ..nested("p", "a", line) };
        world.launch(spec).unwrap();
        fs::write(world.sandbox("p").join("go"), "").unwrap();
        assert_eq!(world.wait("p"), Termination::Exited(3));
        assert_eq!(world.wait("p/a"), Termination::Signaled(9));
        let error = world.launch(nested("p", "b", "true")).unwrap_err();
        assert!(matches!(error, Error::NotRunning { .. }), "{error}");
        world.run(world.containerizer().destroy("p")).unwrap();
        assert_eq!(world.leftovers(), NOTHING);
        fs::remove_file(world.sandbox("p").join("go")).unwrap();
    }
}

#[test]
fn the_tree_is_known_after_a_restart() {
    let Some(mut world) = World::new() else { return };
    world.launch(world.pod("p")).unwrap();
    world.launch(nested("p", "a", "exec sleep 1000")).unwrap();
    let line = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    world.launch(nested("p/a", "b", line)).unwrap();
    world.await_nested("p/a/b", "ready");
    world.restart();
    let recovered = world.run(world.containerizer().recover()).unwrap();
    let names: Vec<_> = recovered.iter().map(|container| container.id.as_str()).collect();
    assert_eq!(names, ["p", "p/a", "p/a/b"]);
    assert!(recovered.iter().all(|container| container.termination.is_none()));
    world.run(world.containerizer().kill("p/a/b", PATIENCE)).unwrap();
    assert_eq!(world.wait("p/a/b"), Termination::Exited(7));
    world.nested_output(nested("p/a", "c", "true"));
    // Also when nobody has taken it over.
    world.restart();
    world.run(world.containerizer().destroy("p")).unwrap();
    assert_eq!(world.leftovers(), NOTHING);
}

#[test]
fn limits_are_its_own_if_wanted() {
    let Some(world) = World::new() else { return };
    let pod = ContainerSpec { resources: resources(1000, 256 << 20), ..world.pod("p") };
    world.launch(pod).unwrap();
    world.launch(nested("p", "shared", "exec sleep 1000")).unwrap();
    let usage = world.containerizer().usage("p").unwrap();
    assert_eq!(usage.mem_limit_bytes, Some(256 << 20));
    let limited = ContainerSpec {
        own_cgroups: true,
        resources: resources(100, 40 << 20),
        ..nested("p", "bomb", "exec tail -c 200000000 /dev/zero")
    };
    world.launch(limited).unwrap();
    let Termination::Limited(limitation) = world.wait("p/bomb") else { panic!("not limited") };
    assert_eq!(limitation.cause, Cause::Memory);
    assert!(world.containerizer().usage("p/shared").is_ok(), "the others go on");
    let error = world.launch(ContainerSpec {
        resources: muster_containerizer::Resources {
            mem_limit: Some(muster_containerizer::Limit::At(1 << 30)),
            ..resources(100, 40 << 20)
        },
        ..nested("p", "x", "true")
    });
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("resources.mem_limit: a nested container without"), "{error}");
    world.run(world.containerizer().kill("p/shared", Duration::ZERO)).unwrap();
    world.run(world.containerizer().destroy("p")).unwrap();
    assert_eq!(world.leftovers(), NOTHING);
}

#[test]
fn a_part_of_its_parents_sandbox_is_given_to_it() {
    let Some(world) = World::new() else { return };
    world.launch(world.pod("p")).unwrap();
    let volume = |path: &str| Volume {
        container_path: "/shared".into(),
        source: VolumeSource::SandboxPath { path: path.into(), parent: true },
        read_only: false,
    };
    let writer = ContainerSpec {
        volumes: vec![volume("a/b")],
        user: Some("1000:1000".into()),
        ..nested("p", "writer", "echo given >/shared/file")
    };
    world.nested_output(writer);
    let reader = nested("p", "reader", "cat /shared/file");
    let reader = ContainerSpec { volumes: vec![volume("a/b")], ..reader };
    assert_eq!(world.nested_output(reader), "given\n");
    assert!(world.sandbox("p").join("a/b/file").is_file());
    symlink("/etc", world.sandbox("p").join("link")).unwrap();
    let spec = nested("p", "escape", "true");
    let spec = ContainerSpec { volumes: vec![volume("link")], ..spec };
    let error = world.launch(spec).unwrap_err().to_string();
    assert!(error.contains("p/link: Too many levels of symbolic links"), "{error}");
}

#[test]
fn no_link_in_a_sandbox_leads_out_of_it() {
    let Some(world) = World::new() else { return };
    world.launch(world.pod("p")).unwrap();
    let outside = world.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, world.sandbox("p").join("containers")).unwrap();
    let error = world.launch(nested("p", "a", "true")).unwrap_err().to_string();
    assert!(error.starts_with("open ") && error.contains("Not a directory"), "{error}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    world.run(world.containerizer().destroy("p")).unwrap();
    assert_eq!(world.leftovers(), NOTHING);
}
