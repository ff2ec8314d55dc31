//! Debian's docker-registry, and what may lie between it and us.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use super::patience;

/// User `user` with the password `pass`, as bcrypt has it.
const HTPASSWD: &str = "user:$2y$05$abcdefghijklmnopqrstuuZFBUbfXoM8LFiPx8LYlO/sXZB/Cwk3K\n";

/// A registry on loopback.
pub(crate) struct Registry {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    directory: tempfile::TempDir,
    options: Options,
}

/// How it is to be spoken to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Options {
    pub(crate) password: bool,
    pub(crate) tls: bool,
}

impl Registry {
    pub(crate) fn start(options: Options) -> Self {
        Self::with_auth(tempfile::tempdir().unwrap(), options, None)
    }

    /// One with this `auth` in its configuration, which may name files of the directory.
    pub(crate) fn with_auth(
        directory: tempfile::TempDir,
        options: Options,
        auth: Option<&str>,
    ) -> Self {
        let path = directory.path();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let mut http = format!("{{addr: '{host}', secret: s");
        if options.tls {
            certificate(path);
            let path = path.display();
            let tls = format!(", tls: {{certificate: {path}/cert.pem, key: {path}/key.pem}}");
            http.push_str(&tls);
        }
        let mut text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}/data}}}}\nhttp: {http}}}\n",
            path.display()
        );
        if let Some(auth) = auth {
            text.extend(["auth: ", auth, "\n"]);
        } else if options.password {
            fs::write(path.join("htpasswd"), HTPASSWD).unwrap();
            let file = path.join("htpasswd");
            let file = file.display();
            let auth = format!("auth: {{htpasswd: {{realm: r, path: {file}}}}}\n");
            text.push_str(&auth);
        }
        fs::write(path.join("config.yml"), text).unwrap();
        let log = fs::File::create(path.join("log")).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(path.join("config.yml"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("install docker-registry");
        let mut registry = Self { child, host, directory, options };
        let mut ended = None;
        patience::until_now("the registry answers", || {
            ended = registry.child.try_wait().unwrap();
            ended.is_some() || TcpStream::connect(&registry.host).is_ok()
        });
        let log = fs::read_to_string(registry.directory.path().join("log")).unwrap();
        assert!(ended.is_none(), "{ended:?}: {log}");
        registry
    }

    /// Pushes `tag` of the image layout by skopeo.
    pub(crate) fn push(&self, layout: &Path, tag: &str, name: &str, more: &[&str]) {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["--insecure-policy", "copy", "--dest-tls-verify=false"]).args(more);
        if self.options.password {
            skopeo.args(["--dest-creds", "user:pass"]);
        }
        skopeo.arg(format!("oci:{}:{tag}", layout.display()));
        run(skopeo.arg(format!("docker://{}/{name}", self.host)));
    }

    /// Flips a bit of a blob where the registry keeps it.
    pub(crate) fn damage(&self, digest: &str) {
        let hex = digest.trim_start_matches("sha256:");
        let blobs = self.directory.path().join("data/docker/registry/v2/blobs/sha256");
        let path = blobs.join(&hex[..2]).join(hex).join("data");
        let mut bytes = fs::read(&path).unwrap();
        bytes[1000] ^= 1;
        fs::write(&path, bytes).unwrap();
    }

    /// Whom to trust for it.
    pub(crate) fn certificate(&self) -> std::path::PathBuf {
        self.directory.path().join("cert.pem")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Runs a program that must succeed; what it writes.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("cargo xtask setup installs it");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn certificate(directory: &Path) {
    let (key, cert) = (directory.join("key.pem"), directory.join("cert.pem"));
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(cert));
}

/// A line to a registry that is cut after so many bytes of every connection's answers, and
/// remembers what was asked.
pub(crate) struct Line {
    pub(crate) host: String,
    asked: Arc<Mutex<Vec<u8>>>,
    flow: Arc<Flow>,
}

/// What has come through a line, and how much may.
struct Flow {
    /// Bytes that came, and bytes that still may come.
    state: Mutex<(u64, u64)>,
    more: Condvar,
}

impl Flow {
    fn pass(&self, bytes: u64) {
        let mut state = self.state.lock().unwrap();
        while state.1 < bytes {
            state = self.more.wait(state).unwrap();
        }
        *state = (state.0 + bytes, state.1 - bytes);
    }
}

impl Line {
    pub(crate) fn to(registry: &Registry, cut: u64) -> Self {
        Self::new(registry, cut, u64::MAX)
    }

    /// A line on which nothing comes any more after so many bytes of all answers together,
    /// until it is released.
    pub(crate) fn held(registry: &Registry, after: u64) -> Self {
        Self::new(registry, u64::MAX, after)
    }

    pub(crate) fn release(&self) {
        self.flow.state.lock().unwrap().1 = u64::MAX;
        self.flow.more.notify_all();
    }

    /// Bytes of all answers so far.
    pub(crate) fn passed(&self) -> u64 {
        self.flow.state.lock().unwrap().0
    }

    fn new(registry: &Registry, cut: u64, held: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<u8>>>::default();
        let flow = Arc::new(Flow { state: Mutex::new((0, held)), more: Condvar::new() });
        let through = Arc::clone(&flow);
        let (target, record) = (registry.host.clone(), Arc::clone(&asked));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&target)) else {
                    return;
                };
                let (record, flow) = (Arc::clone(&record), Arc::clone(&through));
                std::thread::spawn(move || carry(&client, &server, cut, &record, &flow));
            }
        });
        Self { host, asked, flow }
    }

    /// The lines of all requests that contain `part`.
    pub(crate) fn asked(&self, part: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let text = String::from_utf8_lossy(&asked).to_lowercase();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

fn carry(client: &TcpStream, server: &TcpStream, cut: u64, record: &Mutex<Vec<u8>>, flow: &Flow) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut from, mut to, mut buffer) = (client, server, [0; 4096]);
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                record.lock().unwrap().extend(&buffer[..read]);
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
        });
        let (mut from, mut to, mut buffer) = (server.take(cut), client, [0; 16 << 10]);
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            flow.pass(read as u64);
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        // Whoever goes away first: the other side is to see it.
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    });
}
