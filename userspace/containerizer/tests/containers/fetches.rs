//! Files that a container finds in its sandbox.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use muster_containerizer::{ContainerSpec, Error, Termination, Uri};

use super::world::World;

fn uri(value: &str) -> Uri {
    let value = value.to_owned();
    Uri { value, executable: false, extract: true, cache: false, output_file: None }
}

#[test]
fn what_is_fetched_is_the_users_before_his_command_runs() {
    let Some(world) = World::new() else { return };
    let source = world.directory.path().join("source");
    fs::create_dir_all(source.join("pack/deep")).unwrap();
    fs::write(source.join("pack/deep/data"), "packed").unwrap();
    fs::write(
        source.join("run.sh"),
        "#!/bin/sh\nid -u; cat pack/deep/data; echo x >> pack/deep/data",
    )
    .unwrap();
    let archive = source.join("a.tar.gz");
    let tar =
        Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(&source).arg("pack").status();
    assert!(tar.unwrap().success());
    let spec = ContainerSpec {
        uris: vec![
            Uri { cache: true, ..uri(archive.to_str().unwrap()) },
            Uri { executable: true, ..uri(&format!("file://{}/run.sh", source.display())) },
        ],
        user: Some("1234:56".into()),
        ..world.shell("fetching", "cd $MESOS_SANDBOX && ./run.sh")
    };
    let spec = ContainerSpec {
        environment: vec![("MESOS_SANDBOX".into(), "/mnt/mesos/sandbox".into())],
        ..spec
    };
    let (ended, output) = world.finish(spec);
    let errors = fs::read_to_string(world.sandbox("fetching").join("stderr")).unwrap();
    assert_eq!((ended, output.as_str()), (Termination::Exited(0), "1234\npacked"), "{errors}");
    let data = world.sandbox("fetching").join("pack/deep/data").metadata().unwrap();
    assert_eq!((data.uid(), data.gid()), (1234, 56));
    let run = world.sandbox("fetching").join("run.sh").metadata().unwrap();
    assert_eq!((run.uid(), run.permissions().mode() & 0o777), (1234, 0o755));
}

#[test]
fn a_file_that_cannot_be_had_leaves_no_container() {
    let Some(world) = World::new() else { return };
    let spec =
        ContainerSpec { uris: vec![uri("/nowhere/at/all")], ..world.shell("failing", "true") };
    let error = world.launch(spec).unwrap_err();
    let expected = "Failed to fetch all URIs for container 'failing': Failed to fetch \
                    '/nowhere/at/all': open /nowhere/at/all: ";
    assert!(error.to_string().starts_with(expected), "{error}");
    assert_eq!(world.remains("failing"), [""; 0].map(std::path::PathBuf::from));
    world.output("failing", "true");
}

#[test]
fn a_container_that_is_killed_while_files_come_is_not_launched() {
    let Some(world) = World::new() else { return };
    // A server that never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let spec = ContainerSpec {
        uris: vec![uri(&format!("http://{address}/x"))],
        ..world.shell("waiting", "true")
    };
    let launched = world.run(async {
        let asked = tokio::task::spawn_blocking(move || silent.accept().unwrap());
        let kill = async {
            let stream = asked.await.unwrap();
            world.containerizer().destroy("waiting").await.unwrap();
            // Closed only now, so that it is not the answer that ends the launch.
            drop(stream);
        };
        let launching = world.containerizer().launch(spec);
        tokio::join!(launching, kill).0
    });
    assert!(matches!(launched, Err(Error::Cancelled { .. })), "{launched:?}");
    assert_eq!(world.remains("waiting"), [""; 0].map(std::path::PathBuf::from));
}
