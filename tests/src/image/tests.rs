//! Both images for real: made from Debian's packages, unpacked, and run in a chroot.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flate2::read::GzDecoder;
use nix::unistd::chroot;
use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest};

use super::layer::sha256;
use super::{Made, Recipe, list, make};
use crate::{Http, NetNs, command, eventually, paths};

/// Reads the layout as a container runtime would, checking each digest, and unpacks the layers.
fn unpack(layout: &Path, root: &Path) -> ImageConfiguration {
    let blob = |digest: &str| {
        let path = layout.join("blobs").join(digest.replace(':', "/"));
        let bytes = fs::read(&path).unwrap();
        assert_eq!(format!("sha256:{}", sha256(&bytes)), digest);
        path
    };
    let index = ImageIndex::from_file(layout.join("index.json")).unwrap();
    let manifest = blob(index.manifests()[0].digest().as_ref());
    let manifest = ImageManifest::from_file(manifest).unwrap();
    let config = blob(manifest.config().digest().as_ref());
    for layer in manifest.layers() {
        let gzip = File::open(blob(layer.digest().as_ref())).unwrap();
        let mut archive = tar::Archive::new(GzDecoder::new(gzip));
        archive.set_preserve_permissions(true);
        archive.unpack(root).unwrap();
    }
    ImageConfiguration::from_file(config).unwrap()
}

fn in_root(root: &Path, argv: &[String]) -> Command {
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).env_clear().env("PATH", "/bin:/usr/sbin");
    let root = root.to_owned();
    // SAFETY: between fork and exec the closure makes two system calls; the path it passes has
    // no NUL and is short enough not to be copied to the heap.
    unsafe {
        command.pre_exec(move || {
            chroot(&root)?;
            Ok(nix::unistd::chdir("/")?)
        });
    }
    command
}

/// A server in a namespace of its own; both end with it.
struct Server {
    child: Child,
    netns: NetNs,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.netns.delete().unwrap();
    }
}

#[test]
fn a_second_make_in_another_store_has_the_same_bytes_and_in_the_same_does_nothing() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(make(Recipe::Busybox, one.path()).unwrap(), Made::New);
    assert_eq!(make(Recipe::Busybox, two.path()).unwrap(), Made::New);
    assert_eq!(make(Recipe::Busybox, one.path()).unwrap(), Made::UpToDate);
    let (one, two) = (list(one.path()).unwrap(), list(two.path()).unwrap());
    assert_eq!(one, two);
    assert_eq!((one[0].name.as_str(), one[0].layers), ("busybox:latest", 1));
}

#[test]
fn an_image_made_by_other_code_is_replaced() {
    let store = tempfile::tempdir().unwrap();
    make(Recipe::Busybox, store.path()).unwrap();
    let index = store.path().join("busybox/index.json");
    let made = fs::read_to_string(&index).unwrap();
    let source = "\"dev.muster.image.source\":\"";
    fs::write(&index, made.replace(source, &format!("{source}other"))).unwrap();
    assert_eq!(make(Recipe::Busybox, store.path()).unwrap(), Made::New);
    assert_eq!(fs::read_to_string(&index).unwrap(), made);
    let names: Vec<_> =
        fs::read_dir(store.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the image and the lock: {names:?}");
}

#[test]
fn busybox_runs_a_shell_from_its_image() {
    if !crate::privileged() {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    make(Recipe::Busybox, store.path()).unwrap();
    let config = unpack(&store.path().join("busybox"), root.path());
    let mut argv = config.config().as_ref().unwrap().cmd().clone().unwrap();
    argv.extend(["-c".into(), "id -un && ls -d /tmp && whoami".into()]);
    assert_eq!(command::output(&mut in_root(root.path(), &argv)).unwrap(), "root\n/tmp\nroot\n");
}

#[test]
fn nginx_serves_the_page_of_its_task() {
    if !crate::privileged() {
        return;
    }
    let store = paths::images();
    make(Recipe::Nginx, &store).unwrap();
    let root = tempfile::tempdir().unwrap();
    let config = unpack(&store.join("nginx"), root.path());
    let config = config.config().as_ref().unwrap();
    let mut argv = config.entrypoint().clone().unwrap();
    argv.extend(config.cmd().clone().unwrap());
    // A container runtime provides these.
    for device in ["null", "stdout"] {
        File::create(root.path().join("dev").join(device)).unwrap();
    }

    let netns = NetNs::create(format!("harness{}nginx", std::process::id())).unwrap();
    let mut command = in_root(root.path(), &argv);
    command.env("PORT0", "31005").env("MESOS_TASK_ID", "web.1").env("HOST", "a7");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    netns.place(&mut command).unwrap();
    let mut up = Command::new("ip");
    up.args(["link", "set", "lo", "up"]);
    netns.place(&mut up).unwrap();
    command::output(&mut up).unwrap();
    let mut server = Server { child: command.spawn().unwrap(), netns };

    let http = Http::from_machine(server.netns.clone());
    let page = eventually("nginx to answer", Duration::from_secs(30), || {
        http.get("http://127.0.0.1:31005/")?.success()
    });
    let log = fs::read_to_string(root.path().join("dev/stdout")).unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(server.child.id().try_into().unwrap()),
        nix::sys::signal::SIGTERM,
    )
    .unwrap();
    let status = server.child.wait().unwrap();

    assert_eq!(page.unwrap().body, "task web.1\nhost a7\nport 31005\n");
    assert!(log.contains("GET / HTTP/1.1\" 200"), "{log}");
    assert!(status.success(), "{status}");
}
