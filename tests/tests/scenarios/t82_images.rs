//! The image store of an agent from the command line, against a real registry.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use muster_harness::image::{self, Recipe};
use muster_harness::{Cluster, Options, command, paths, privileged, ready, wait};
use serde_json::json;

use crate::support::{WITHIN, await_gone, await_up, stop};

/// Where the registry listens on the agent's machine.
const REGISTRY: &str = "127.0.0.1:5000";

/// Debian's docker-registry on an agent's machine.
struct Registry {
    child: Child,
    _directory: tempfile::TempDir,
}

impl Registry {
    fn start(cluster: &Cluster) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}/data}}}}\nhttp: {{addr: '{REGISTRY}'}}\n",
            directory.path().display()
        );
        fs::write(directory.path().join("config.yml"), text).unwrap();
        let mut serve = Command::new("docker-registry");
        serve.arg("serve").arg(directory.path().join("config.yml"));
        serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        cluster.agents()[0].netns().place(&mut serve).unwrap();
        let registry = Self { child: serve.spawn().unwrap(), _directory: directory };
        let http = cluster.agents()[0].http();
        wait::eventually("the registry to answer", WITHIN, || {
            http.send("GET", &format!("http://{REGISTRY}/v2/"), None).map(drop)
        })
        .unwrap();
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pushes one of our images under this name; its digest.
fn push(cluster: &Cluster, recipe: Recipe, name: &str) -> String {
    let from = format!("oci:{}:latest", paths::images().join(recipe.name()).display());
    let to = format!("docker://{REGISTRY}/{name}");
    let skopeo = |arguments: &[&str]| {
        let mut skopeo = Command::new("skopeo");
        skopeo.arg("--insecure-policy").args(arguments);
        cluster.agents()[0].netns().place(&mut skopeo).unwrap();
        command::output(&mut skopeo).unwrap().trim().to_owned()
    };
    skopeo(&["copy", "--dest-tls-verify=false", &from, &to]);
    skopeo(&["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &to])
}

/// `muster image` on the agent's machine.
fn muster(cluster: &Cluster, arguments: &[&str]) -> Output {
    let mut muster = Command::new(paths::muster().unwrap());
    let agent = &cluster.agents()[0];
    muster.args(["image", "--agent-url", &agent.address().to_string()]).args(arguments);
    agent.netns().place(&mut muster).unwrap();
    muster.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What it prints if it succeeds.
fn done(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = muster(cluster, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Why it fails; what it prints nevertheless comes first.
fn fails(cluster: &Cluster, arguments: &[&str]) -> (String, String) {
    let output = muster(cluster, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
    (text(&output.stdout), text(&output.stderr))
}

/// Rows of the list: name, digest's beginning, who uses it.
fn listed(cluster: &Cluster) -> Vec<[String; 3]> {
    let list = done(cluster, &["list"]);
    let mut lines = list.lines();
    let head: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(head.join(" "), "NAME DIGEST SIZE LAST USED IN USE BY");
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(words[2].ends_with("MB"), "{line}");
        [words[0], words[1], words[words.len() - 1]].map(str::to_owned)
    };
    lines.map(row).collect()
}

fn row(name: &str, digest: &str, used_by: &str) -> [String; 3] {
    [name.to_owned(), digest["sha256:".len()..][..12].to_owned(), used_by.to_owned()]
}

fn start(store: &Path) -> Option<(Cluster, Registry)> {
    if !privileged() {
        return None;
    }
    for recipe in Recipe::ALL {
        image::make(recipe, &paths::images()).unwrap();
    }
    let mut cluster = Cluster::machines(&Options::named("t82")).unwrap();
    let daemon = cluster.agent(0).daemon();
    daemon.set_flag("--image-dir", store.display());
    daemon.set_flag("--docker-registry", format!("http://{REGISTRY}"));
    daemon.set_flag("--insecure-registry", REGISTRY);
    cluster.start_all().unwrap();
    let registry = Registry::start(&cluster);
    Some((cluster, registry))
}

#[test]
fn t82_images_are_pulled_listed_removed_and_pruned() {
    let store = tempfile::tempdir().unwrap();
    let Some((mut cluster, registry)) = start(store.path()) else { return };
    let busybox = push(&cluster, Recipe::Busybox, "app:1");
    let nginx = push(&cluster, Recipe::Nginx, "other:1");
    assert_eq!(listed(&cluster), [[""; 3]; 0]);
    assert_eq!(done(&cluster, &["pull", "app:1"]), format!("app:1@{busybox}\n"));
    assert_eq!(done(&cluster, &["pull", "other:1"]), format!("other:1@{nginx}\n"));
    let both = [row("app:1", &busybox, "-"), row("other:1", &nginx, "-")];
    assert_eq!(listed(&cluster), both);

    // A tag that has moved is known only to who asks.
    assert_eq!(push(&cluster, Recipe::Nginx, "app:1"), nginx);
    assert_eq!(done(&cluster, &["pull", "app:1"]), format!("app:1@{busybox}\n"));
    assert_eq!(done(&cluster, &["pull", "--force", "app:1"]), format!("app:1@{nginx}\n"));
    push(&cluster, Recipe::Busybox, "app:1");
    assert_eq!(done(&cluster, &["pull", "--force", "app:1"]), format!("app:1@{busybox}\n"));

    let (_, error) = fails(&cluster, &["pull", "none:1"]);
    assert!(error.contains("none:1") && error.contains("404 Not Found"), "{error}");
    let (_, error) = fails(&cluster, &["pull", "../x"]);
    assert_eq!(error.lines().last().unwrap().split(": ").next(), Some("muster image"), "{error}");
    assert!(error.contains("image `../x`"), "{error}");

    // What a container uses stays.
    let app = json!({
        "id": "/i", "cpus": 0.05, "mem": 32, "instances": 1, "cmd": "exec sleep 100000",
        "container": { "type": "MESOS", "docker": { "image": "app:1" } },
    });
    cluster.marathon().create(&app).unwrap();
    await_up(&mut cluster, "/i", 1);
    let used_by = listed(&cluster)[0][2].clone();
    assert_ne!(used_by, "-");
    let (_, error) = fails(&cluster, &["remove", "app:1"]);
    assert!(error.contains(&format!("in use by container {used_by}")), "{error}");
    let (removed, error) = fails(&cluster, &["rm", "none:1", "other:1"]);
    assert_eq!(removed, "other:1\n");
    assert!(error.contains("image none:1: not in the image store"), "{error}");
    assert!(error.ends_with("muster image: not all were removed\n"), "{error}");
    done(&cluster, &["pull", "other:1"]);
    assert_eq!(done(&cluster, &["prune", "--exclude", "other:1"]), "");
    assert_eq!(done(&cluster, &["prune"]), "other:1\n");
    assert_eq!(listed(&cluster), [row("app:1", &busybox, &used_by)]);

    cluster.marathon().delete("/i").unwrap();
    await_gone(&mut cluster, "/i");
    cluster
        .wait_for("its container to be gone", WITHIN, |cluster| {
            let rows = listed(cluster);
            ready(rows[0][2] == "-", || format!("{rows:?}"))
        })
        .unwrap();
    assert_eq!(done(&cluster, &["remove", "app:1"]), "app:1\n");
    assert_eq!(listed(&cluster), [[""; 3]; 0]);

    cluster.agent(0).daemon().kill().unwrap();
    let (_, error) = fails(&cluster, &["list"]);
    assert!(error.starts_with("muster image: asking the agent at "), "{error}");
    cluster.start_agent(0).unwrap();
    cluster.await_agents().unwrap();
    drop(registry);
    stop(cluster);
}
