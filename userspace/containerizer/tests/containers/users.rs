//! User namespaces: root of a container is nobody of the machine.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use muster_containerizer::{
    CommandSpec, ContainerSpec, Containerizer, ExecStatus, IdRange, Kind, Propagation, Termination,
    Volume, VolumeSource, WindowSize,
};

use super::image::{Image, busybox};
use super::world::{PATIENCE, World, example};

const FIRST: u32 = 1_234_000;
const NOTHING: [PathBuf; 0] = [];

fn world(names: &str) -> Option<World> {
    let mut world = World::new()?;
    world.restart_with(|isolation| {
        isolation.names = names.into();
        isolation.user_namespaces = true;
        isolation.user_namespaces_range = IdRange::new(FIRST, 4 * 65_536);
    });
    Some(world)
}

fn owner(path: &Path) -> (u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid())
}

#[test]
fn root_inside_is_nobody_outside() {
    let Some(world) = world("") else { return };
    let line = "id -u; id -g; stat -c '%u %g' /bin/busybox / /etc/passwd /dev /dev/shm /tmp
        touch /made /dev/made /dev/shm/made made && chown 7:8 made && stat -c '%u %g' made /made
        cat /proc/self/uid_map; echo x >/dev/null; echo ready; exec sleep 1000";
    let pid = world.launch(world.shell("c", line)).unwrap().pid;
    world.await_output("c", "ready");
    let output = world.stdout("c");
    let lines: Vec<_> = output.lines().collect();
    let roots = ["0", "0", "0 0", "0 0", "0 0", "0 0", "0 0", "0 0", "7 8", "0 0"];
    assert_eq!(lines[..10], roots, "{output}");
    assert_eq!(lines[10].split_whitespace().collect::<Vec<_>>(), ["0", "1234000", "65536"]);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Uid:\t1234000\t1234000\t1234000\t1234000\n"), "{status}");
    assert!(status.contains("Gid:\t1234000\t"), "{status}");
    let sandbox = world.sandbox("c");
    assert_eq!(owner(&sandbox), (FIRST, FIRST));
    assert_eq!(owner(&sandbox.join("stdout")), (FIRST, FIRST));
    assert_eq!(owner(&sandbox.join("made")), (FIRST + 7, FIRST + 8));
    // Who joins it is one of it.
    let inside = "[ $(id -u) = 0 ] && grep -q 1234000 /proc/self/uid_map && rm /made && mkdir /x";
    let inside = CommandSpec::Shell(inside.into());
    let status = world.run(world.containerizer().exec("c", inside, PATIENCE)).unwrap();
    assert_eq!(status, ExecStatus::Exited(0));
    world.run(world.containerizer().destroy("c")).unwrap();
    assert_eq!(world.remains("c"), NOTHING);
}

#[test]
fn what_is_roots_on_the_host_is_out_of_reach() {
    let Some(world) = world("") else { return };
    let host = world.directory.path().join("host");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("secret"), "secret").unwrap();
    fs::set_permissions(host.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(host.join("open"), "open").unwrap();
    let line = "cat /host/open; stat -c %u /host/open; ! cat /host/secret && ! touch /host/x &&
        ! chown 0 /host/open && ! chmod 777 /host/open && ! rm -f /host/open && ! mount -t tmpfs x /tmp &&
        ! hostname other && ! echo 1 >/proc/sys/vm/drop_caches && ! kill -0 -1 2>/dev/null; echo $?";
    let spec = ContainerSpec {
        volumes: vec![Volume {
            container_path: "/host".into(),
            source: VolumeSource::HostPath {
                path: host.clone(),
                propagation: Propagation::Private,
            },
            read_only: false,
        }],
        effective_capabilities: None,
        ..world.shell("c", &line.replace(" && ! kill -0 -1 2>/dev/null", ""))
    };
    let (termination, output) = world.finish(spec);
    assert_eq!((termination, output.as_str()), (Termination::Exited(0), "open65534\n0\n"));
    let names: Vec<_> =
        fs::read_dir(&host).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(owner(&host.join("open")), (0, 0));
}

#[test]
fn set_user_id_works_inside() {
    let Some(world) = world("-linux/nnp") else { return };
    // A program without anything of an image's: with the libraries that this test has.
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut libraries: Vec<_> = maps
        .lines()
        .filter_map(|line| line.split_once('/').map(|(_, path)| path.to_owned()))
        .filter(|path| path.contains(".so"))
        .collect();
    libraries.dedup();
    let mut layer = busybox().file("probe", 0o4755, fs::read(example("syscall")).unwrap());
    for library in libraries.iter().map(|path| format!("/{path}")) {
        let name = Path::new(&library).file_name().unwrap().to_str().unwrap();
        let directory = if name.starts_with("ld-") { "lib64" } else { "lib/x86_64-linux-gnu" };
        layer = layer.file(&format!("{directory}/{name}"), 0o755, fs::read(&library).unwrap());
    }
    Image::new(&world.config.image_dir, "suid").layer(layer).tag("latest");
    // Who is not root cannot become it but by the bit.
    let line = format!("id -u; /probe {} 0 0 0; touch mine", libc::SYS_setresuid);
    let spec = ContainerSpec {
        image: Some("suid".into()),
        user: Some("1000:1000".into()),
        ..world.shell("c", &line)
    };
    let (termination, output) = world.finish(spec);
    assert_eq!((termination, output.as_str()), (Termination::Exited(0), "1000\n0\n"));
    let mine = world.sandbox("c").join("mine");
    assert_eq!(owner(&mine), (FIRST + 1000, FIRST + 1000));
    let spec = ContainerSpec { user: Some("70000".into()), ..world.shell("d", "true") };
    let error = world.launch(spec).unwrap_err().to_string();
    assert!(error.starts_with("find the user: 70000 is none of the 65536"), "{error}");
}

#[test]
fn no_container_has_ids_of_another() {
    let Some(mut world) = world("") else { return };
    // Room for two.
    world.restart_with(|isolation| {
        isolation.user_namespaces_range = IdRange::new(FIRST, 2500);
        isolation.user_namespaces_size = 1000;
    });
    let shell = |world: &World, id: &str| {
        let line = "touch /made made; stat -c '%u %g' /made /bin/busybox; exec sleep 1000";
        let pid = world.launch(world.shell(id, line))?.pid;
        world.await_output(id, "0 0\n0 0\n");
        let map = fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
        let map: Vec<u32> = map.split_whitespace().map(|word| word.parse().unwrap()).collect();
        assert_eq!((map[0], map[2]), (0, 1000));
        assert_eq!(owner(&world.sandbox(id).join("made")), (map[1], map[1]));
        Ok::<_, muster_containerizer::Error>(map[1])
    };
    assert_eq!(shell(&world, "a").unwrap(), FIRST);
    assert_eq!(shell(&world, "b").unwrap(), FIRST + 1000);
    world.restart();
    world.run(world.containerizer().recover()).unwrap();
    let error = shell(&world, "c").unwrap_err().to_string();
    assert!(error.contains("all 2 times 1000 ids of 1234000:2500 are in use"), "{error}");
    assert_eq!(world.remains("c"), NOTHING);
    world.run(world.containerizer().destroy("a")).unwrap();
    assert_eq!(shell(&world, "c").unwrap(), FIRST);
    // A launch that fails gives back what it had.
    world.run(world.containerizer().destroy("b")).unwrap();
    for id in ["d", "e"] {
        let spec = ContainerSpec { user: Some("nobody-there".into()), ..world.shell(id, "true") };
        world.launch(spec).unwrap_err();
    }
    assert_eq!(shell(&world, "f").unwrap(), FIRST + 1000);
}

#[test]
fn what_is_nested_and_what_is_on_a_terminal_too() {
    let Some(world) = world("") else { return };
    let pod = ContainerSpec { kind: Kind::Pod, image: None, command: None, ..world.shell("p", "") };
    let holder = world.launch(pod).unwrap().pid;
    assert_eq!(owner(Path::new(&format!("/proc/{holder}/status"))).0, 0, "not dumpable");
    let nested = ContainerSpec {
        parent: Some("p".into()),
        sandbox: "".into(),
        tty: Some(WindowSize { rows: 24, columns: 80 }),
        ..world.shell("a", "id -u; stat -c %u /bin/busybox $(tty); touch file; exec sleep 1000")
    };
    let pid = world.launch(nested).unwrap().pid;
    let sandbox = world.sandbox("p").join("containers/a");
    let file = sandbox.join("file");
    world.await_that("it has made a file", || file.exists());
    assert_eq!(owner(&file), (FIRST, FIRST));
    assert_eq!(fs::read_to_string(sandbox.join("stdout")).unwrap(), "0\r\n0\r\n0\r\n");
    let users = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    assert_eq!(users(pid), users(holder));
    assert_ne!(users(pid), users(std::process::id()));
    world.run(world.containerizer().destroy("p")).unwrap();
    assert_eq!(world.leftovers(), NOTHING);
}

#[test]
fn a_range_with_root_is_refused() {
    assert_eq!(IdRange::new(0, 65_536), None);
    let Some(mut world) = World::new() else { return };
    world.stop();
    world.config.isolation.user_namespaces = true;
    world.config.isolation.names = "process".into();
    let error = Containerizer::new(world.config.clone()).err().unwrap().to_string();
    assert_eq!(error, "user_namespaces: need the isolator filesystem/linux");
    world.config.isolation.user_namespaces = false;
    let error = "0:65536".parse::<IdRange>().unwrap_err();
    assert!(error.starts_with("`0:65536` is not FIRST:COUNT"), "{error}");
}
