//! What tasks of a real Docker engine wait for: files, and images that these have the password for.

use std::fs;
use std::path::Path;
use std::process::Command;

use muster_api::mesos::command_info::Uri;
use muster_api::mesos::container_info::DockerInfo;
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{TaskInfo, TaskState};
use serde_json::json;

use super::docker::{docker, engine, with};
use super::engines::{Registry, push};
use super::images::{self, GATE, Gate};
use super::master::Master;
use super::site::{eventually, on_site};

fn wanting(mut task: TaskInfo, uris: &[&Path]) -> TaskInfo {
    let uri = |path: &&Path| Uri { value: path.display().to_string(), ..Uri::default() };
    task.command.as_mut().unwrap().uris = uris.iter().map(uri).collect();
    task
}

/// An archive of one file, as `docker.tar.gz` is made by those who run Marathon.
fn archive(directory: &Path, name: &str, file: &str, text: &str) -> std::path::PathBuf {
    let (tree, archive) = (directory.join(format!("{name}.d")), directory.join(name));
    let path = tree.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(&tree).arg("-czf").arg(&archive).arg(file);
    assert!(tar.status().unwrap().success());
    archive
}

#[test]
fn files_are_in_the_sandbox_before_the_command_runs() {
    on_site(async |site| {
        let engine = engine(site).await;
        let plain = site.path("plain");
        fs::write(&plain, "from afar\n").unwrap();
        let packed = archive(&site.path(""), "packed.tar.gz", "inner/file", "packed\n");
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let line = "cd $MESOS_SANDBOX; cat plain inner/file";
        peer.launch(wanting(docker("t", line), &[&plain, &packed]));
        assert_eq!(peer.end().await.state(), TaskState::TaskFinished);
        assert_eq!(site.read("t", "stdout"), "from afar\npacked\n");
        let missing = site.path("missing");
        peer.launch(wanting(docker("lost", line), &[&plain, &missing]));
        let status = peer.end().await;
        assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
        assert!(status.message().contains(missing.to_str().unwrap()), "{status:?}");
        eventually("nothing is left of them", || engine.containers().is_empty()).await;
    });
}

#[test]
fn an_image_is_pulled_with_the_password_among_the_tasks_files() {
    on_site(async |site| {
        let engine = engine(site).await;
        let registry = Registry::start(&site.path("registry")).await;
        let name = format!("{}/team/tool:1", registry.host);
        push(&engine, &registry, &name);
        let host = registry.host.clone();
        let auth = |password: &str| {
            let auth = if password == "pass" { "dXNlcjpwYXNz" } else { "dXNlcjp3cm9uZw==" };
            json!({ "auth": auth })
        };
        let top = site.path("");
        let new = json!({ "auths": { host.clone(): auth("pass") } }).to_string();
        let new = archive(&top, "docker.tar.gz", ".docker/config.json", &new);
        let old = json!({ format!("https://{host}/v1/"): auth("pass") }).to_string();
        let old = archive(&top, "dockercfg.tar.gz", ".dockercfg", &old);
        let wrong = json!({ host.clone(): auth("wrong") }).to_string();
        let wrong = archive(&top, "wrong.tar.gz", ".dockercfg", &wrong);
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let pulled = || DockerInfo {
            image: name.clone(),
            force_pull_image: Some(true),
            ..DockerInfo::default()
        };
        for (id, files) in [("none", vec![]), ("wrong", vec![wrong.as_path()])] {
            peer.launch(wanting(with(id, "true", pulled()), &files));
            let status = peer.end().await;
            assert_eq!(status.reason(), Reason::ContainerLaunchFailed, "{status:?}");
            assert!(status.message().starts_with(&format!("docker pull {name}: ")), "{status:?}");
        }
        for (id, files) in [("new", &new), ("old", &old)] {
            peer.launch(wanting(with(id, "echo pulled", pulled()), &[files]));
            let status = peer.end().await;
            assert_eq!(status.state(), TaskState::TaskFinished, "{status:?}");
            assert_eq!(site.read(id, "stdout"), "pulled\n");
        }
    });
}

#[test]
fn a_pull_of_the_engine_is_told_while_it_lasts() {
    on_site(async |site| {
        let _engine = engine(site).await;
        let _registry = images::Registry::start(&site.path("")).await;
        let gate = Gate::start(1_500_000);
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let image = format!("{GATE}/app:1");
        let docker = DockerInfo { image: image.clone(), ..DockerInfo::default() };
        peer.launch(with("t", "exit 3", docker));
        let begun = format!("Pulling image '{image}': ");
        loop {
            let status = peer.expect(TaskState::TaskStarting).await;
            // Some of the large layer has come, and all of the other.
            if status.message().starts_with(&begun) && !status.message().contains(": 0.0 of") {
                assert!(status.message().ends_with(" of 2 layers"), "{status:?}");
                break;
            }
        }
        gate.open();
        assert_eq!(peer.end().await.message(), "Command exited with status 3");
    });
}
