//! Applications of the type DOCKER: a real engine behind `/v2/apps`, from the definition to the
//! answer of the container.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use muster_harness::{Cluster, Options, command, privileged, ready, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::{WITHIN, await_gone, await_up, await_vip, replace_agent, stop};

const IMAGE: &str = "muster-scenario:1";

/// A Docker engine on an agent's machine. Its mounts go with its mount namespace.
struct Engine {
    child: Child,
    directory: tempfile::TempDir,
}

impl Engine {
    fn start(cluster: &Cluster) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let below = |name: &str| directory.path().join(name);
        let log = File::create(below("log")).unwrap();
        let mut dockerd = Command::new("unshare");
        dockerd.args(["--mount", "dockerd", "--data-root"]).arg(below("root"));
        dockerd.arg("--exec-root").arg(below("exec")).arg("--pidfile").arg(below("pid"));
        dockerd.arg("-H").arg(format!("unix://{}", below("d.sock").display()));
        // It is also where only root looks.
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        dockerd.env("PATH", path).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        cluster.agents()[0].netns().place(&mut dockerd).unwrap();
        let engine = Self { child: dockerd.spawn().unwrap(), directory };
        let up = || {
            let said = engine.docker(&["version"]);
            ready(said.is_ok(), || said.unwrap_err().to_string())
        };
        wait::eventually("the engine to answer", WITHIN, up).unwrap();
        let root = engine.directory.path().join("image");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::copy(busybox(), root.join("bin/busybox")).unwrap();
        for program in ["sh", "cat", "httpd", "sleep"] {
            symlink("busybox", root.join("bin").join(program)).unwrap();
        }
        let archive = engine.directory.path().join("image.tar");
        command::output(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg("."))
            .unwrap();
        engine.docker(&["import", archive.to_str().unwrap(), IMAGE]).unwrap();
        engine
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("d.sock")
    }

    fn docker(&self, arguments: &[&str]) -> Result<String, muster_harness::Error> {
        let socket = format!("unix://{}", self.socket().display());
        command::output(Command::new("docker").arg("-H").arg(socket).args(arguments))
    }

    fn await_no_container(&self, cluster: &mut Cluster) {
        cluster
            .wait_for("the engine to have no container", WITHIN, |_| {
                let left = self.docker(&["ps", "--quiet"])?;
                ready(left.trim().is_empty(), || left)
            })
            .unwrap();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Its containers end with it.
        let pid = Pid::from_raw(self.child.id().cast_signed());
        if let Err(error) = kill(pid, Signal::SIGTERM) {
            eprintln!("cannot end the engine: {error}");
        }
        if let Err(error) = self.child.wait() {
            eprintln!("cannot wait for the engine: {error}");
        }
    }
}

fn busybox() -> &'static Path {
    ["/bin/busybox", "/usr/bin/busybox"]
        .map(Path::new)
        .into_iter()
        .find(|path| path.is_file())
        .expect("busybox-static is missing; run: cargo xtask setup")
}

#[test]
fn t85_a_bridged_container_answers_at_its_host_port_and_at_its_vip() {
    if !privileged() {
        return;
    }
    let mut cluster = Cluster::machines(&Options::named("t85")).unwrap();
    let engine = Engine::start(&cluster);
    let socket = engine.socket();
    cluster.agent(0).daemon().set_flag("--docker-socket", socket.display());
    cluster.start_all().unwrap();
    let app = json!({
        "id": "/web",
        "cpus": 0.1,
        "mem": 64,
        "cmd": "cd /page; echo hello from $A > index.html; exec httpd -f -p 8080",
        "networks": [{ "mode": "container/bridge" }],
        "container": {
            "type": "DOCKER",
            "docker": {
                "image": IMAGE,
                "parameters": [{ "key": "env", "value": "A=docker" }],
            },
            "volumes": [{ "containerPath": "/page", "hostPath": "page", "mode": "RW" }],
            "portMappings": [{
                "containerPort": 8080, "hostPort": 0, "name": "http",
                "labels": { "VIP_0": "/web:80" },
            }],
        },
        "healthChecks": [{
            "protocol": "MESOS_HTTP", "path": "/index.html", "portIndex": 0, "delaySeconds": 0,
            "intervalSeconds": 1, "timeoutSeconds": 10, "gracePeriodSeconds": 60,
        }],
        "readinessChecks": [{
            "path": "/index.html", "portName": "http", "intervalSeconds": 2, "timeoutSeconds": 1,
            "preserveLastResponse": true,
        }],
    });
    cluster.marathon().create(&app).unwrap();
    let tasks = await_up(&mut cluster, "/web", 1);
    let shown = cluster.marathon().app("/web").unwrap();
    assert_eq!(shown["container"]["portMappings"][0]["containerPort"], 8080, "{shown}");
    assert_eq!(shown["networks"], json!([{ "mode": "container/bridge" }]));
    let port = tasks[0].ports[0];
    let address = cluster.agents()[0].address();
    let client = cluster.agents()[0].client().unwrap();
    let page = client.get(&format!("http://{address}:{port}/")).unwrap().success().unwrap();
    assert_eq!(page.body.trim(), "hello from docker");
    let vip = await_vip(&mut cluster, 1);
    let page = client.get(&format!("http://{vip}/")).unwrap().success().unwrap();
    assert_eq!(page.body.trim(), "hello from docker");
    let running = engine.docker(&["ps", "--format", "{{.Image}} {{.Ports}}"]).unwrap();
    assert!(running.contains(IMAGE) && running.contains("->8080/tcp"), "{running}");
    // From its own network, through the VIP and the machine's port, to itself.
    let id = engine.docker(&["ps", "--quiet"]).unwrap();
    let url = format!("http://{vip}/index.html");
    let page = ["exec", id.trim(), "/bin/busybox", "wget", "-q", "-O", "-", &url];
    assert_eq!(engine.docker(&page).unwrap().trim(), "hello from docker");

    // One that never becomes ready keeps the old one, and its deployment.
    cluster
        .marathon()
        .update("/web", &json!({ "cmd": "exec sleep 10000", "healthChecks": [] }))
        .unwrap();
    cluster
        .wait_for("the new instance to be found not ready", WITHIN, |cluster| {
            let deployments = cluster.marathon().get("/v2/deployments")?;
            let results = &deployments[0]["currentActions"][0]["readinessCheckResults"];
            let found =
                results.as_array().is_some_and(|all| all.iter().any(|r| r["ready"] == false));
            ready(found, || deployments.to_string())
        })
        .unwrap();
    let page = client.get(&format!("http://{address}:{port}/")).unwrap().success().unwrap();
    assert_eq!(page.body.trim(), "hello from docker");
    cluster.marathon().send("DELETE", "/v2/apps/web?force=true", None).unwrap().success().unwrap();
    await_gone(&mut cluster, "/web");
    engine.await_no_container(&mut cluster);
    stop(cluster);
}

/// A shell in a network of the engine's, whose ports are none of the machine's.
fn networked(id: &str, command: &str, ports: &Value) -> Value {
    json!({
        "id": id,
        "cpus": 0.1,
        "mem": 64,
        "cmd": command,
        "networks": [{ "mode": "container", "name": "t86-net" }],
        "container": {
            "type": "DOCKER", "docker": { "image": IMAGE }, "portMappings": ports,
        },
    })
}

#[test]
fn t86_a_port_that_is_none_of_the_machines_is_reached_at_the_containers_address() {
    if !privileged() {
        return;
    }
    let mut cluster = Cluster::machines(&Options::named("t86")).unwrap();
    let engine = Engine::start(&cluster);
    engine.docker(&["network", "create", "--subnet", "10.97.86.0/24", "t86-net"]).unwrap();
    let socket = engine.socket();
    cluster.agent(0).daemon().set_flag("--docker-socket", socket.display());
    cluster.start_all().unwrap();
    let serve = "echo hello from inside > /index.html; exec httpd -f -p 8080 -h /";
    let ports = json!([{ "containerPort": 8080, "labels": { "VIP_0": "/web:80" } }]);
    cluster.marathon().create(&networked("/web", serve, &ports)).unwrap();
    cluster.marathon().create(&networked("/client", "exec sleep 10000", &json!([]))).unwrap();
    await_up(&mut cluster, "/web", 1);
    await_up(&mut cluster, "/client", 1);
    let vip = await_vip(&mut cluster, 1);
    let shown = cluster.marathon().get("/v2/apps/web/tasks").unwrap();
    let own = shown["tasks"][0]["ipAddresses"][0]["ipAddress"].as_str().unwrap_or_default();
    assert!(own.starts_with("10.97.86."), "{shown}");
    let client = cluster.agents()[0].client().unwrap();
    let served = cluster.vip_get(0, &format!("/vip/{vip}")).unwrap();
    assert!(served.get(format!("{own}:8080")).is_some(), "{served}");
    let url = format!("http://{vip}/index.html");
    let page = client.get(&url).unwrap().success().unwrap();
    assert_eq!(page.body.trim(), "hello from inside");
    // From a container beside it, and from itself.
    let ids = engine.docker(&["ps", "--quiet"]).unwrap();
    assert_eq!(ids.lines().count(), 2, "{ids}");
    for id in ids.lines() {
        let page = ["exec", id, "/bin/busybox", "wget", "-q", "-O", "-", &url];
        assert_eq!(engine.docker(&page).unwrap().trim(), "hello from inside");
    }
    // The agent knows the address also when it was away.
    replace_agent(&mut cluster, |_| ());
    let page = client.get(&url).unwrap().success().unwrap();
    assert_eq!(page.body.trim(), "hello from inside");
    for id in ["web", "client"] {
        let path = format!("/v2/apps/{id}?force=true");
        cluster.marathon().send("DELETE", &path, None).unwrap().success().unwrap();
    }
    await_gone(&mut cluster, "/web");
    await_gone(&mut cluster, "/client");
    engine.await_no_container(&mut cluster);
    stop(cluster);
}
