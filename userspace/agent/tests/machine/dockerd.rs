//! A Docker engine for one test, in the test's own network and mount namespaces.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::site::eventually;

/// The image that there is.
pub(crate) const IMAGE: &str = "muster-test:1";
/// Programs of busybox that tests use.
const PROGRAMS: [&str; 18] = [
    "sh", "cat", "chmod", "echo", "env", "false", "head", "httpd", "id", "ls", "mv", "nc", "ps",
    "sleep", "touch", "tr", "true", "wget",
];

pub(crate) struct Dockerd {
    directory: PathBuf,
    engine: Option<Child>,
}

impl Dockerd {
    /// Starts an engine that has the image.
    pub(crate) async fn start(directory: PathBuf) -> Self {
        fs::create_dir_all(&directory).unwrap();
        let mut dockerd = Self { directory, engine: None };
        dockerd.restart().await;
        let root = dockerd.directory.join("image");
        fs::create_dir_all(root.join("bin")).unwrap();
        let busybox = which("busybox");
        fs::copy(&busybox, root.join("bin/busybox")).unwrap();
        for program in PROGRAMS {
            symlink("busybox", root.join("bin").join(program)).unwrap();
        }
        let archive = dockerd.directory.join("image.tar");
        let tar =
            Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".").status();
        assert!(tar.unwrap().success());
        dockerd.docker(&["import", archive.to_str().unwrap(), IMAGE]);
        dockerd
    }

    /// Starts the engine again.
    pub(crate) async fn restart(&mut self) {
        assert!(self.engine.is_none());
        let below = |name: &str| self.directory.join(name);
        let log = File::options().create(true).append(true).open(below("log")).unwrap();
        let engine = Command::new(which("dockerd"))
            .arg("--data-root")
            .arg(below("root"))
            .arg("--exec-root")
            .arg(below("exec"))
            .arg("--pidfile")
            .arg(below("pid"))
            .arg("-H")
            .arg(format!("unix://{}", self.socket().display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.engine = Some(engine);
        eventually("the engine answers", || self.run(&["version"]).status.success()).await;
    }

    /// Has the engine end, and its containers with it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut engine) = self.engine.take() {
            kill(Pid::from_raw(engine.id().cast_signed()), Signal::SIGTERM).unwrap();
            engine.wait().unwrap();
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("d.sock")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let socket = format!("unix://{}", self.socket().display());
        Command::new(which("docker")).arg("-H").arg(socket).args(arguments).output().unwrap()
    }

    /// What a command of docker says.
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "docker {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Names of all containers, running or not.
    pub(crate) fn containers(&self) -> Vec<String> {
        self.docker(&["ps", "-a", "--format", "{{.Names}}"]).lines().map(Into::into).collect()
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if self.engine.is_some() {
            for id in String::from_utf8_lossy(&self.run(&["ps", "-aq"]).stdout).lines() {
                self.run(&["rm", "-f", id]);
            }
            self.stop();
        }
        // It leaves some of its mounts.
        let mounts = fs::read_to_string("/proc/thread-self/mounts").unwrap_or_default();
        let below = self.directory.to_string_lossy().into_owned();
        for mount in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
            if mount.starts_with(&below) {
                let _ = umount2(Path::new(mount), MntFlags::MNT_DETACH);
            }
        }
    }
}

/// Where a program is, also where only root looks.
fn which(program: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/bin:/usr/sbin:/sbin";
    let found = path.split(':').map(|folder| Path::new(folder).join(program)).find(|p| p.is_file());
    found.unwrap_or_else(|| panic!("{program} is missing; run: cargo xtask setup"))
}
