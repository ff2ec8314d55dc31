//! Images from a registry: told while they are pulled, listed, removed.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use muster_api::mesos::{ContainerInfo, Image, TaskInfo, TaskState, container_info, image};
use serde_json::{Value, json};

use super::http::{get, post, request};
use super::master::Master;
use super::site::{Site, eventually, on_site};
use super::tasks::shell;

/// Where the registry listens, in the test's own network namespace.
const REGISTRY: &str = "127.0.0.1:5000";
/// Where the gate to it does.
pub(crate) const GATE: &str = "127.0.0.1:5001";
const MEGABYTE: u64 = 1 << 20;

/// Debian's docker-registry.
pub(crate) struct Registry(Child);

impl Registry {
    /// With images `app:1` and `other:1` of a shell, each with a layer of some megabytes.
    pub(crate) async fn start(directory: &Path) -> Self {
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}/data}}}}\nhttp: {{addr: '{REGISTRY}'}}\n",
            directory.display()
        );
        fs::write(directory.join("config.yml"), text).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(directory.join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("install docker-registry");
        let registry = Self(child);
        eventually("the registry listens", || TcpStream::connect(REGISTRY).is_ok()).await;
        let layout = directory.join("layout");
        let at = layout.display();
        let large = directory.join("large");
        run("umoci", &format!("init --layout {at}"));
        for name in ["app", "other"] {
            let mut noise = vec![0; 3 << 20];
            fs::File::open("/dev/urandom").unwrap().read_exact(&mut noise).unwrap();
            fs::write(&large, noise).unwrap();
            run("umoci", &format!("new --image {at}:{name}"));
            run("umoci", &format!("insert --image {at}:{name} /bin/busybox /bin/sh"));
            run("umoci", &format!("insert --image {at}:{name} {} /large", large.display()));
            run(
                "skopeo",
                &format!(
                    "--insecure-policy copy --dest-tls-verify=false oci:{at}:{name} \
                     docker://{REGISTRY}/{name}:1"
                ),
            );
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn run(program: &str, line: &str) {
    let output = Command::new(program).args(line.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Lets so many bytes of answers through on each connection, and the rest when it is opened.
pub(crate) struct Gate {
    each: u64,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn start(each: u64) -> Arc<Self> {
        let gate = Arc::new(Self { each, open: Mutex::new(false), opened: Condvar::new() });
        let listener = TcpListener::bind(GATE).unwrap();
        let own = Arc::clone(&gate);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(REGISTRY).unwrap());
                let gate = Arc::clone(&own);
                std::thread::spawn(move || gate.carry(&client, &server));
            }
        });
        gate
    }

    pub(crate) fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn carry(&self, client: &TcpStream, server: &TcpStream) {
        std::thread::scope(|scope| {
            scope.spawn(|| std::io::copy(&mut { client }, &mut { server }));
            let (mut from, mut to, mut buffer) = (server, client, [0; 16 << 10]);
            let mut passed = 0;
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                passed += read as u64;
                let mut open = self.open.lock().unwrap();
                while passed > self.each && !*open {
                    open = self.opened.wait(open).unwrap();
                }
                drop(open);
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        });
    }
}

/// A task in a container of an image.
fn with_image(id: &str, name: &str, line: &str) -> TaskInfo {
    let docker = image::Docker { name: name.into(), ..Default::default() };
    let image =
        Image { r#type: image::Type::Docker.into(), docker: Some(docker), ..Default::default() };
    let mesos = container_info::MesosInfo { image: Some(image) };
    let container = ContainerInfo {
        r#type: container_info::Type::Mesos.into(),
        mesos: Some(mesos),
        ..Default::default()
    };
    TaskInfo { container: Some(container), ..shell(id, line) }
}

async fn stored(site: &Site) -> Vec<String> {
    let images = get(&site.url("/images")).await.json()["images"].clone();
    let names = images.as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

async fn prune(site: &Site, body: Value) -> (u16, String) {
    let call = json!({"type": "PRUNE_IMAGES", "prune_images": body}).to_string();
    let answer = post(&site.url("/api/v1"), "application/json", call).await;
    (answer.status.as_u16(), answer.body)
}

#[test]
fn a_pull_is_told_while_it_lasts_and_images_go_by_call() {
    on_site(async |site| {
        let _registry = Registry::start(&site.path("")).await;
        let gate = Gate::start(5 * MEGABYTE / 2);
        site.set("insecure_registry", GATE.into());
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.launch(with_image("t", "app:1", "echo up; while :; do :; done"));
        let status = peer.expect(TaskState::TaskStarting).await;
        assert_eq!(status.message, None);
        // The pull hangs, and the task says where.
        let status = peer.expect(TaskState::TaskStarting).await;
        let message = status.message();
        assert!(message.starts_with("Pulling image 'app:1'"), "{message}");
        let mut told = message.to_owned();
        while !told.ends_with(" MB, 1 of 2 layers") {
            told = peer.expect(TaskState::TaskStarting).await.message().to_owned();
        }
        let pulling = get(&site.url("/images")).await.json()["pulling"].clone();
        assert_eq!(pulling[0]["message"], told.as_str());
        assert_eq!(
            (&pulling[0]["image"], &pulling[0]["total_layers"]),
            (&json!("app:1"), &json!(2))
        );
        gate.open();
        let running = peer.end_or_run().await;
        assert_eq!(running.state(), TaskState::TaskRunning);
        assert_eq!(running.message, None);
        assert_eq!(get(&site.url("/images")).await.json()["pulling"], json!([]));

        // By an operator, who is told line by line.
        let pull = json!({"name": "other:1"}).to_string();
        let answer = post(&site.url("/images/pull"), "application/json", pull).await;
        let last: Value = serde_json::from_str(answer.body.lines().last().unwrap()).unwrap();
        assert_eq!(last["image"]["name"], "other:1", "{last}");
        assert!(last["image"]["digest"].as_str().unwrap().starts_with("sha256:"));
        assert!(last["image"]["bytes"].as_u64().unwrap() > 6 * MEGABYTE, "{last}");
        for (body, problem) in [
            (json!({"name": "../x"}), "image `../x`: a name is made of"),
            (json!({"image": "x"}), "unknown field `image`"),
            (json!({}), "missing field `name`"),
        ] {
            let url = site.url("/images/pull");
            let answer = post(&url, "application/json", body.to_string()).await;
            assert_eq!(answer.status.as_u16(), 400);
            assert!(answer.body.contains(problem), "{}", answer.body);
        }
        let pull = json!({"name": "none:1"}).to_string();
        let answer = post(&site.url("/images/pull"), "application/json", pull).await;
        assert!(answer.json()["error"].as_str().unwrap().contains("404 Not Found"));

        let container = running.container_status.unwrap().container_id.unwrap().value;
        let images = get(&site.url("/images")).await.json()["images"].clone();
        assert_eq!(images[0]["used_by"], json!([container]), "{images}");
        let answer = request("DELETE", &site.url("/images?name=app:1")).await;
        assert_eq!(answer.status.as_u16(), 409);
        assert!(answer.body.contains(&format!("in use by container {container}")));
        let answer = request("DELETE", &site.url("/images?name=none")).await;
        assert_eq!((answer.status.as_u16(), answer.body.contains("not in the image")), (404, true));
        let answer = request("DELETE", &site.url("/images")).await;
        assert_eq!((answer.status.as_u16(), answer.body.contains("`name`")), (400, true));
        assert_eq!(stored(site).await, ["app:1", "other:1"]);

        let excluded = json!([{"type": "DOCKER", "docker": {"name": "other:1"}}]);
        assert_eq!(prune(site, json!({"excluded_images": excluded})).await, (200, String::new()));
        assert_eq!(stored(site).await, ["app:1", "other:1"], "in use, and excluded");
        let (status, body) = prune(site, json!({"excluded_images": [{"type": "DOCKER"}]})).await;
        assert_eq!(status, 400);
        assert!(body.contains("prune_images.excluded_images[0].docker is not set"), "{body}");
        let call = json!({"type": "PRUNE_IMAGES"}).to_string();
        let answer = post(&site.url("/api/v1"), "application/json", call).await;
        assert_eq!(answer.status.as_u16(), 400);
        assert!(answer.body.contains("prune_images is not set"), "{}", answer.body);
        assert_eq!(prune(site, json!({})).await.0, 200);
        assert_eq!(stored(site).await, ["app:1"]);
        peer.kill("t", None);
        peer.end().await;
        let gone = || fs::read_dir(site.path("run/containers")).unwrap().next().is_none();
        eventually("its container is destroyed", gone).await;
        let answer = request("DELETE", &site.url("/images?name=app:1")).await.json();
        assert_eq!(answer["images"], json!(["app:1"]));

        // A disk that is never free enough: what is not used does not stay.
        site.stop();
        site.set(
            "image_gc_config",
            json!({
                "image_disk_headroom": 1.0,
                "image_disk_watch_interval": {"nanoseconds": 100_000_000},
                "excluded_images": [{"type": "DOCKER", "docker": {"name": "app:1"}}],
            }),
        );
        site.start();
        let (_peer, _) = master.register().await;
        for name in ["app:1", "other:1"] {
            let pull = json!({ "name": name }).to_string();
            post(&site.url("/images/pull"), "application/json", pull).await;
        }
        let record = site.path("images/.registry/images/127.0.0.1:5001");
        eventually("what nothing uses has gone", || {
            fs::read_dir(record.join("other/_tags")).is_ok_and(|tags| tags.count() == 0)
        })
        .await;
        assert_eq!(stored(site).await, ["app:1"]);
    });
}
