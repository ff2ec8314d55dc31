//! Which system calls a container's commands can make.

use std::fs;
use std::io::{Read as _, Write as _};

use muster_containerizer::{CommandSpec, ContainerSpec, ExecStatus, Seccomp, Termination};

use super::world::{PATIENCE, World, example};

const STATUS: &str = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status";

#[test]
fn a_filter_is_on_for_a_command_and_for_who_joins_it() {
    let Some(world) = World::new() else { return };
    let line = format!("{STATUS}; exec sleep 1000");
    world.launch(world.shell("c", &line)).unwrap();
    world.await_output("c", "NoNewPrivs:\t1\nSeccomp:\t2\n");
    let inside = CommandSpec::Shell(format!("{STATUS} | grep -q 'Seccomp:.2'"));
    let status = world.run(world.containerizer().exec("c", inside, PATIENCE)).unwrap();
    assert_eq!(status, ExecStatus::Exited(0));
    let spec = ContainerSpec { seccomp: Seccomp::Unconfined, ..world.shell("d", STATUS) };
    assert_eq!(world.finish(spec).1, "NoNewPrivs:\t1\nSeccomp:\t0\n");
}

#[test]
fn it_needs_no_no_new_privs() {
    let Some(mut world) = World::new() else { return };
    world.restart_with(|isolation| isolation.names = "-linux/nnp".into());
    let spec = ContainerSpec { user: Some("web".into()), ..world.shell("c", STATUS) };
    assert_eq!(world.finish(spec).1, "NoNewPrivs:\t0\nSeccomp:\t2\n");
}

#[test]
fn namespaces_are_refused_even_where_no_capability_is_asked_for() {
    let Some(world) = World::new() else { return };
    let line = "unshare -U true 2>&1";
    let (_, output) = world.finish(world.shell("c", line));
    assert!(output.contains("Operation not permitted"), "{output}");
    // Without the filter the kernel lets anybody.
    let spec = ContainerSpec { seccomp: Seccomp::Unconfined, ..world.shell("d", line) };
    assert_eq!(world.finish(spec), (Termination::Exited(0), String::new()));
}

#[test]
fn what_its_capabilities_are_for_is_allowed() {
    let Some(mut world) = World::new() else { return };
    world.restart_with(|isolation| {
        isolation.bounding_capabilities = "CHOWN,SYS_ADMIN".parse().unwrap();
    });
    let line = "unshare -m true && echo done";
    let admin = ContainerSpec {
        effective_capabilities: Some("SYS_ADMIN".parse().unwrap()),
        ..world.shell("c", line)
    };
    assert_eq!(world.finish(admin).1, "done\n");
    let bounded = Some("CHOWN".parse().unwrap());
    let usual = ContainerSpec { bounding_capabilities: bounded, ..world.shell("d", line) };
    assert_eq!(world.finish(usual).0, Termination::Exited(1));
}

#[test]
fn a_profile_decides_error_by_error() {
    let Some(mut world) = World::new() else { return };
    let directory = world.directory.path().join("profiles");
    fs::create_dir(&directory).unwrap();
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28},
        {"names":["rmdir"],"action":"SCMP_ACT_KILL_PROCESS"},
        {"names":["kill"],"action":"SCMP_ACT_ERRNO","errnoRet":3,
         "args":[{"index":1,"value":10,"op":"SCMP_CMP_EQ"}]}]}"#;
    fs::write(directory.join("some.json"), profile).unwrap();
    fs::write(directory.join("bad.json"), profile.replace("rmdir", "rm")).unwrap();
    world.restart_with(|isolation| isolation.seccomp_dir = Some(directory.clone()));
    let with = |id: &str, name: &str, line: &str| ContainerSpec {
        seccomp: Seccomp::Profile(name.into()),
        ..world.shell(id, line)
    };
    let line = "mkdir /a 2>&1; rmdir /tmp; echo $?; kill -USR1 $$ 2>&1; kill -0 $$ && echo there";
    let (_, output) = world.finish(with("c", "some.json", line));
    assert!(output.contains("No space left on device\n"), "{output}");
    assert!(output.contains("\n159\n"), "killed by SIGSYS: {output}");
    assert!(output.contains("No such process"), "{output}");
    assert!(output.ends_with("there\n"), "{output}");
    let error = world.launch(with("d", "bad.json", "true")).unwrap_err().to_string();
    let place =
        format!("seccomp: {}/bad.json: syscalls[1].names[0]: `rm` is no", directory.display());
    assert!(error.starts_with(&place), "{error}");
    assert_eq!(world.remains("d"), Vec::<std::path::PathBuf>::new());
}

/// What the kernel says to each of these system calls in a container on the host's files.
fn errors(world: &World, seccomp: Seccomp, calls: &[(i64, &str)]) -> Vec<i32> {
    let probe = example("syscall");
    let line =
        |(number, arguments): &(i64, &str)| format!("{} {number} {arguments}", probe.display());
    let lines = calls.iter().map(line).collect::<Vec<_>>().join("\n");
    let id = format!("{}{}", calls.len(), matches!(seccomp, Seccomp::Default));
    let spec = ContainerSpec { image: None, seccomp, ..world.shell(&id, &lines) };
    let (termination, output) = world.finish(spec);
    assert_eq!(termination, Termination::Exited(0), "{output}");
    output.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn each_of_dockers_refusals_is_one_on_the_kernel() {
    let Some(world) = World::new() else { return };
    let admin = libc::CLONE_NEWUSER.to_string();
    let calls = [
        (libc::SYS_bpf, "9999 0 0"),
        (libc::SYS_keyctl, "9999"),
        (libc::SYS_unshare, &admin),
        (libc::SYS_userfaultfd, "9999"),
        (libc::SYS_io_uring_setup, "0 0"),
        (libc::SYS_perf_event_open, "0 0 0 0 0"),
        (libc::SYS_personality, "262144"),
        (libc::SYS_socket, "38 5 0"),
    ];
    assert_eq!(errors(&world, Seccomp::Default, &calls), [libc::EPERM; 8]);
    // What the kernel says where no filter comes before it.
    let open = errors(&world, Seccomp::Unconfined, &calls);
    let reached = open.iter().filter(|errno| **errno != libc::EPERM).count();
    assert!(reached >= 6, "{open:?}");
    let allowed = [
        (libc::SYS_personality, "8"),
        (libc::SYS_personality, "4294967295"),
        (libc::SYS_ptrace, "0"),
        (libc::SYS_socket, "1 1 0"),
        (libc::SYS_chroot, "0"),
    ];
    assert_eq!(errors(&world, Seccomp::Default, &allowed), [0, 0, 0, 0, libc::EFAULT]);
    assert_eq!(errors(&world, Seccomp::Default, &[(libc::SYS_clone3, "0 0")]), [libc::ENOSYS]);
}

#[test]
fn busyboxs_programs_and_a_web_server_run() {
    let Some(world) = World::new() else { return };
    let line =
        "mkdir -p /d/e && echo x | tee /d/e/f | sort | md5sum && ln -s f /d/e/l && cp -a /d /g
        && tar -c -f - /g 2>/dev/null | gzip | gunzip | tar -t -f - | wc -l && busybox chown -R 1:2 /g
        && busybox timeout 5 /bin/true && kill -0 $$ && date >/dev/null
        && (sleep 1000 & kill $!; wait) && busybox mknod /fifo p && busybox stat -c %F /fifo && busybox su web -c id";
    let output = world.output("c", &line.replace("\n        ", " "));
    assert!(output.contains("\n4\nfifo\nuid="), "{output}");
    if !fs::exists("/usr/sbin/nginx").unwrap() {
        assert!(std::env::var_os("CI").is_none(), "in CI this test must run: needs nginx");
        return;
    }
    let line = "cat > nginx.conf <<END
        user nobody nogroup; daemon off; worker_processes 2; pid $PWD/pid; error_log stderr;
        events {} http { access_log off; sendfile on; client_body_temp_path $PWD/body;
        proxy_temp_path $PWD/p; fastcgi_temp_path $PWD/f; uwsgi_temp_path $PWD/u;
        scgi_temp_path $PWD/s; server { listen unix:$PWD/socket; return 200 served; } }
        \nEND\nexec nginx -e stderr -c $PWD/nginx.conf";
    let spec = ContainerSpec { image: None, ..world.shell("d", line) };
    world.launch(spec).unwrap();
    let socket = world.sandbox("d").join("socket");
    world.await_that("nginx", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("served"), "{answer}");
    let filtered = world.containerizer().exec(
        "d",
        CommandSpec::Shell("grep -q 'Seccomp:.2' /proc/1/status".into()),
        PATIENCE,
    );
    assert_eq!(world.run(filtered).unwrap(), ExecStatus::Exited(0));
}
