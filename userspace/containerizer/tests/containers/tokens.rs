//! Tokens that the registry itself verifies.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use muster_containerizer::{ContainerSpec, Registries, Secret};
use serde_json::json;

use super::pulls::{layout, of};
use super::registry::{Options, Registry, run};
use super::world::World;

/// `user:pass` in base64.
const AUTH: &str = "dXNlcjpwYXNz";
/// What may be pulled without a password.
const PUBLIC: &str = "library/public";

/// A server that gives tokens (JWT, RS256): for everything to `user`, else to pull [`PUBLIC`].
struct Tokens {
    realm: String,
    /// The first lines of what it was asked, and whether with a password.
    asked: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Tokens {
    /// Signs with `key.pem` in the directory, whose certificate is `cert.pem`.
    fn start(directory: &Path) -> Self {
        run(Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=tokens", "-keyout"])
            .arg(directory.join("key.pem"))
            .arg("-out")
            .arg(directory.join("cert.pem")));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let realm = format!("http://{}/token", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<(String, bool)>>>::default();
        let (record, directory) = (Arc::clone(&asked), directory.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                answer(client, &directory, &record);
            }
        });
        Self { realm, asked }
    }
}

fn answer(mut client: TcpStream, directory: &Path, record: &Mutex<Vec<(String, bool)>>) {
    let mut lines = BufReader::new(&client).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let known = headers.iter().any(|line| {
        let line = line.to_lowercase();
        line == format!("authorization: basic {}", AUTH.to_lowercase())
    });
    record.lock().unwrap().push((request.clone(), known));
    let query = request.split(' ').nth(1).and_then(|path| path.split_once('?')).unwrap().1;
    let query = query.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
    let scopes = query.split('&').filter_map(|part| part.strip_prefix("scope="));
    let mut access = Vec::new();
    for scope in scopes {
        let [kind, name, actions] = scope.split(':').collect::<Vec<_>>()[..] else { continue };
        let mut actions: Vec<&str> = actions.split(',').collect();
        actions.retain(|action| known || name == PUBLIC && *action == "pull");
        access.push(json!({"type": kind, "name": name, "actions": actions}));
    }
    let body = json!({ "token": token(directory, &json!(access)) }).to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    // Who asked may be gone.
    let _ = write!(client, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
}

/// A token as the registry's documentation has it, signed by openssl.
fn token(directory: &Path, access: &serde_json::Value) -> String {
    let pem = fs::read_to_string(directory.join("cert.pem")).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    assert!(STANDARD.decode(&der).is_ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [der]});
    let claims = json!({
        "iss": "muster-test", "sub": "user", "aud": "registry", "jti": now.to_string(),
        "iat": now, "nbf": now - 60, "exp": now + 600, "access": access,
    });
    let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let text = format!("{}.{}", encode(&header), encode(&claims));
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-sign"])
        .arg(directory.join("key.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let signed = openssl.wait_with_output().unwrap();
    assert!(signed.status.success());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signed.stdout))
}

/// A registry that takes the tokens of that server only.
fn registry(directory: tempfile::TempDir, tokens: &Tokens) -> Registry {
    let bundle: PathBuf = directory.path().join("cert.pem");
    let auth = format!(
        "{{token: {{realm: '{}', service: registry, issuer: muster-test, rootcertbundle: {}}}}}",
        tokens.realm,
        bundle.display()
    );
    Registry::with_auth(directory, Options { password: true, tls: false }, Some(&auth))
}

#[test]
fn a_registry_takes_the_tokens_that_it_sends_us_for() {
    let Some(mut world) = World::new() else { return };
    let directory = tempfile::tempdir().unwrap();
    let tokens = Tokens::start(directory.path());
    let registry = registry(directory, &tokens);
    for name in ["public", "private"] {
        registry.push(&layout(&world, name, &[]), "t", &format!("library/{name}"), &[]);
    }
    let host = registry.host.clone();
    world.pull_from(Registries { insecure: vec![host.clone()], ..Registries::default() });
    tokens.asked.lock().unwrap().clear();
    let image = |name: &str| format!("{host}/library/{name}");
    assert_eq!(world.finish(of("a", &image("public"), &world)).1, "public");
    let asked = tokens.asked.lock().unwrap().clone();
    assert!(!asked.is_empty() && asked.iter().all(|(_, known)| !known), "{asked:?}");
    assert!(asked[0].0.contains("service=registry"), "{asked:?}");

    // A token without the right to it.
    let error = world.launch(of("b", &image("private"), &world)).unwrap_err().to_string();
    assert!(error.contains("get manifest latest: 401 Unauthorized"), "{error}");
    let config = json!({"auths": {&host: {"auth": AUTH}}}).to_string();
    let own = ContainerSpec {
        image_config: Some(Secret::new(config)),
        ..of("c", &image("private"), &world)
    };
    assert_eq!(world.finish(own).1, "private");
    assert!(tokens.asked.lock().unwrap().iter().any(|(_, known)| *known));
}
