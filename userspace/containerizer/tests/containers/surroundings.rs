//! What a command finds around it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use muster_containerizer::{CapabilitySet, CommandSpec, ContainerSpec, Termination};
use rustix::mount::{MountPropagationFlags, mount_change};
use serde_json::json;

use super::image::{Image, busybox};
use super::world::{World, is_root};

#[test]
fn it_is_process_1_and_sees_only_its_own() {
    let Some(world) = World::new() else { return };
    let output = world.output("c", "echo $$; ls -d /proc/[0-9]* | while read p; do echo $p; done");
    // The shell, its subshell, and ls that has ended by then or not.
    assert!(output.starts_with("1\n/proc/1\n"), "{output}");
    assert!(output.lines().count() <= 4, "{output}");
}

#[test]
fn variables_from_image_and_caller() {
    let Some(world) = World::new() else { return };
    let mut spec = world.shell("c", "env");
    spec.environment = vec![("BOTH".into(), "caller".into()), ("MINE".into(), "a b=c".into())];
    let output = world.finish(spec).1;
    let mut lines: Vec<&str> = output.lines().filter(|line| !line.starts_with("SHLVL")).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "BOTH=caller",
            "FROM=image",
            "HOME=/root",
            "MESOS_SANDBOX=/mnt/mesos/sandbox",
            "MINE=a b=c",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PWD=/mnt/mesos/sandbox",
        ]
    );
}

#[test]
fn the_images_user_and_directory() {
    let Some(world) = World::new() else { return };
    let config = json!({"Cmd": ["/bin/sh", "-c", "id; pwd; echo $HOME; echo x > $MESOS_SANDBOX/mine"],
        "User": "web", "WorkingDir": "/srv/made"});
    Image::new(&world.config.image_dir, "configured").layer(busybox()).config(config).tag("1");
    let spec =
        ContainerSpec { image: Some("configured:1".into()), command: None, ..world.shell("c", "") };
    let (termination, output) = world.finish(spec);
    assert_eq!(termination, Termination::Exited(0));
    assert_eq!(
        output,
        "uid=101(web) gid=102(web) groups=102(web),103(logs)\n/srv/made\n/home/web\n"
    );
    let made = fs::metadata(world.sandbox("c").join("mine")).unwrap();
    assert_eq!((made.uid(), made.gid()), (101, 102));
}

#[test]
fn the_callers_user_wins() {
    let Some(world) = World::new() else { return };
    let spec = ContainerSpec { user: Some("7:8".into()), ..world.shell("c", "id") };
    assert_eq!(world.finish(spec).1, "uid=7 gid=8 groups=8\n");
}

#[test]
fn host_name_of_its_own_or_the_hosts() {
    let Some(world) = World::new() else { return };
    let line = "hostname; cat /etc/hostname; grep -c 'box.example' /etc/hosts";
    let spec = ContainerSpec { hostname: Some("box.example".into()), ..world.shell("c", line) };
    assert_eq!(world.finish(spec).1, "box.example\nbox.example\n1\n");
    let own = rustix::system::uname();
    let own = own.nodename().to_str().unwrap();
    assert_eq!(world.output("d", "hostname"), format!("{own}\n"));
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    assert_eq!(world.output("e", "cat /etc/hosts || true"), hosts);
}

#[test]
fn capabilities_are_dockers() {
    let Some(world) = World::new() else { return };
    let line = "grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status";
    let expected = |effective: &str| {
        [
            "CapInh:\t0000000000000000",
            &format!("CapPrm:\t{effective}"),
            &format!("CapEff:\t{effective}"),
            "CapBnd:\t00000000a80425fb",
            "CapAmb:\t0000000000000000",
            "NoNewPrivs:\t1",
        ]
        .join("\n")
    };
    let output = world.output("c", line);
    assert!(output.starts_with(&expected("00000000a80425fb")), "{output}");
    let spec = ContainerSpec { user: Some("web".into()), ..world.shell("d", line) };
    let output = world.finish(spec).1;
    assert!(output.starts_with(&expected("0000000000000000")), "{output}");
}

#[test]
fn capabilities_of_a_task_are_what_it_names_for_any_user() {
    let Some(mut world) = World::new() else { return };
    let set = |names: &str| Some(names.parse::<CapabilitySet>().unwrap());
    let spec = ContainerSpec {
        user: Some("web".into()),
        effective_capabilities: set("CHOWN,NET_RAW"),
        bounding_capabilities: set("CHOWN,NET_RAW,KILL"),
        ..world.shell(
            "c",
            "grep Cap /proc/self/status; touch /tmp/x; id -u; chown 7 /tmp/x && stat -c %u /tmp/x",
        )
    };
    let (both, bound) = ("0000000000002001", "0000000000002021");
    let expected = format!(
        "CapInh:\t{both}\nCapPrm:\t{both}\nCapEff:\t{both}\nCapBnd:\t{bound}\nCapAmb:\t{both}\n101\n7\n"
    );
    assert_eq!(world.finish(spec), (Termination::Exited(0), expected));
    let wanted = |world: &World, id| ContainerSpec {
        effective_capabilities: set("NET_ADMIN"),
        ..world.shell(id, "grep CapEff /proc/self/status")
    };
    let error = world.launch(wanted(&world, "d")).unwrap_err().to_string();
    assert!(error.starts_with("effective_capabilities: NET_ADMIN is not in"), "{error}");
    world.restart_with(|isolation| isolation.bounding_capabilities = set("NET_ADMIN").unwrap());
    assert_eq!(world.finish(wanted(&world, "e")).1, "CapEff:\t0000000000001000\n");
}

#[test]
fn the_first_instruction_is_in_its_cgroups() {
    let Some(world) = World::new() else { return };
    let command = Some(CommandSpec::Argv(vec!["/bin/cat".into(), "/proc/self/cgroup".into()]));
    let output = world.finish(ContainerSpec { command, ..world.shell("c", "") }).1;
    world.assert_in_cgroups("c", &output);
}

#[test]
fn nothing_is_mounted_on_the_host() {
    if !is_root() {
        return;
    }
    // For the containerizer these are the mounts of the host, and nobody else changes them. They
    // are shared, so that what a container mounts would come here if it were let.
    let host = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        for propagation in [MountPropagationFlags::PRIVATE, MountPropagationFlags::SHARED] {
            mount_change("/", propagation | MountPropagationFlags::REC).unwrap();
        }
        let mounts = || fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let before = mounts();
        let world = World::new().unwrap();
        world.launch(world.shell("c", "echo ready; sleep 1000")).unwrap();
        world.await_output("c", "ready");
        assert_eq!(mounts(), before);
    });
    if let Err(panicked) = host.join() {
        std::panic::resume_unwind(panicked);
    }
}

#[test]
fn no_path_of_the_host_is_in_sight() {
    let Some(world) = World::new() else { return };
    let output = world.output("c", "cat /proc/self/mountinfo; ls /; ls /proc/self/fd");
    let path = world.config.image_dir.to_str().unwrap();
    // The sandbox is a mount of the host's disk, and mountinfo tells from where.
    let overlay = output.lines().find(|line| line.contains(" / / ")).unwrap();
    assert!(!overlay.contains(path), "{overlay}");
    assert!(overlay.contains("nodev"), "{overlay}");
    assert!(output.contains("\nbin\ndev\netc\nmnt\nproc\nroot\nsys\ntmp\n"), "{output}");
    assert!(output.ends_with("\n0\n1\n2\n3\n"), "{output}");
}

#[test]
fn its_devices_work_and_no_others() {
    let Some(world) = World::new() else { return };
    let output = world.output(
        "c",
        "ls /dev; echo x > /dev/null; head -c 3 /dev/zero | ls -d / ; head -c 1 /dev/urandom > /dev/shm/x
         for where in /tmp /dev /dev/shm $MESOS_SANDBOX; do
             mknod $where/disk b 254 0 && (head -c 1 $where/disk 2>&1 || true)
             mknod $where/null c 1 3 && (echo x 2>&1 > $where/null || true)
         done",
    );
    let mut lines = output.lines();
    let devices: Vec<&str> = lines.by_ref().take_while(|line| *line != "/").collect();
    assert_eq!(
        devices,
        "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
            .split(' ')
            .collect::<Vec<_>>()
    );
    let opened: Vec<&str> = lines.collect();
    assert!(opened.iter().all(|line| line.contains("Permission denied")), "{opened:?}");
    assert!(opened.len() >= 4, "{opened:?}");
}

#[test]
fn the_kernels_interfaces_are_closed() {
    let Some(world) = World::new() else { return };
    let (_, output) = world.finish(world.shell(
        "c",
        "for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity \
                  /sys/kernel/mm/transparent_hugepage/enabled /sys/kernel/uevent_helper; do
             [ -e $f ] && (echo x > $f && echo written) 2>&1
         done
         mount -t tmpfs tmpfs /tmp 2>&1
         head -c 1 /proc/kcore | grep -c . ; ls /sys/firmware /proc/acpi /proc/scsi 2>/dev/null",
    ));
    assert!(output.contains("can't create /proc/sys/kernel/hostname: Read-only"), "{output}");
    assert!(output.contains("transparent_hugepage/enabled: Read-only"), "{output}");
    assert!(!output.contains("written"), "{output}");
    let hidden: Vec<&str> =
        output.lines().skip_while(|line| !line.starts_with("mount:")).skip(1).collect();
    assert!(hidden.iter().all(|l| *l == "0" || l.is_empty() || l.ends_with(':')), "{output}");
    assert!(output.contains("mount: permission denied"), "{output}");
}

#[test]
fn signals_are_as_in_a_new_process() {
    let Some(world) = World::new() else { return };
    let output = world.output("c", "exec grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status");
    assert_eq!(output.matches("0000000000000000").count(), 3, "{output}");
}

#[test]
fn without_an_image_it_is_on_the_host_but_for_proc_and_dev() {
    let Some(world) = World::new() else { return };
    let line = "pwd; echo $$; ls /dev | grep -c . ; cat /etc/passwd; echo mine > file
        (echo x > /proc/sys/kernel/hostname) 2>&1 || true; ls /dev/vd* /dev/sd* 2>/dev/null || true";
    let spec = ContainerSpec { image: None, ..world.shell("c", line) };
    let (termination, output) = world.finish(spec);
    let sandbox = world.sandbox("c");
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let start = format!("{}\n1\n14\n{passwd}", sandbox.display());
    assert!(output.starts_with(&start), "{output}");
    assert!(output.ends_with("Read-only file system\n"), "{output}");
    assert_eq!(termination, Termination::Exited(0));
    assert_eq!(fs::read_to_string(sandbox.join("file")).unwrap(), "mine\n");
}

#[test]
fn without_an_image_a_host_name_is_its_own_nevertheless() {
    let Some(world) = World::new() else { return };
    let spec = ContainerSpec {
        image: None,
        hostname: Some("mine".into()),
        ..world.shell("c", "hostname; cat /etc/hostname")
    };
    assert_eq!(world.finish(spec).1, "mine\nmine\n");
    assert_ne!(rustix::system::uname().nodename().to_bytes(), b"mine");
}
