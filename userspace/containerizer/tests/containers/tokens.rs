//! Tokens that the registry itself verifies.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
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
const PUBLIC: &str = "public";
/// What stands for `user` in an OAuth 2 request.
const REFRESH: &str = "r3fresh";

/// A server that gives tokens (JWT, RS256): for everything to `user`, else to pull [`PUBLIC`].
/// `user` shows a password (GET) or a refresh token (POST).
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
    let mut reader = BufReader::new(&client);
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        let lines = headers.iter().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    };
    let post = request.starts_with("POST /token ");
    let query = if post {
        assert_eq!(header("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(header("authorization"), None);
        let mut form = vec![0; header("content-length").unwrap().parse().unwrap()];
        reader.read_exact(&mut form).unwrap();
        String::from_utf8(form).unwrap()
    } else {
        request.split(' ').nth(1).and_then(|path| path.split_once('?')).unwrap().1.to_owned()
    };
    let has = |part: &str| query.split('&').any(|pair| pair == part);
    let known = if post {
        assert!(has("client_id=muster") && has("service=registry"), "{query}");
        has("grant_type=refresh_token") && has(&format!("refresh_token={REFRESH}"))
    } else {
        header("authorization") == Some(&format!("Basic {AUTH}"))
    };
    record.lock().unwrap().push((request.clone(), known));
    if post && !known {
        // Who asked may be gone.
        let _ = write!(client, "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
        return;
    }
    let query = query.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
    let scopes = query.split('&').filter_map(|part| part.strip_prefix("scope="));
    let mut access = Vec::new();
    for scope in scopes {
        let [kind, name, actions] = scope.split(':').collect::<Vec<_>>()[..] else { continue };
        let mut actions: Vec<&str> = actions.split(',').collect();
        actions.retain(|action| known || name == PUBLIC && *action == "pull");
        access.push(json!({"type": kind, "name": name, "actions": actions}));
    }
    let name = if post { "access_token" } else { "token" };
    let body = json!({ name: token(directory, &json!(access)) }).to_string();
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
        registry.push(&layout(&world, name, &[]), "t", name, &[]);
    }
    let host = registry.host.clone();
    world.pull_from(Registries { insecure: vec![host.clone()], ..Registries::default() });
    tokens.asked.lock().unwrap().clear();
    let image = |name: &str| format!("{host}/{name}");
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

    // What a login that keeps no password leaves, with the user beside it.
    let forget = |world: &World| {
        fs::remove_dir_all(world.config.image_dir.join(".registry")).unwrap();
    };
    let identity = |token: &str| {
        json!({"auths": {&host: {"auth": "dXNlcjo=", "identitytoken": token}}}).to_string()
    };
    for (id, token, known) in [("d", "wrong", false), ("e", REFRESH, true)] {
        forget(&world);
        tokens.asked.lock().unwrap().clear();
        let secret = Some(Secret::new(identity(token)));
        let own = ContainerSpec { image_config: secret, ..of(id, &image("private"), &world) };
        if known {
            assert_eq!(world.finish(own).1, "private");
        } else {
            let error = world.launch(own).unwrap_err().to_string();
            let said = format!("get a token from {}: 401 Unauthorized; the cred", tokens.realm);
            assert!(error.contains(&said) && !error.contains(token), "{error}");
        }
        let asked = tokens.asked.lock().unwrap().clone();
        assert_eq!(asked, [("POST /token HTTP/1.1".to_owned(), known)]);
    }

    // Where a program has the passwords, what is everybody's can be pulled nevertheless.
    let stores = json!({"auths": {&host: {}}, "credsStore": "desktop"});
    let helpers = json!({"credHelpers": {&host: "desktop"}});
    let named = format!("credHelpers.{host}");
    for (id, config, field) in [("f", stores, "credsStore"), ("g", helpers, named.as_str())] {
        forget(&world);
        let insecure = vec![host.clone()];
        let config = Some(config.to_string());
        world.pull_from(Registries { insecure, config, ..Registries::default() });
        assert_eq!(world.finish(of(id, &image("public"), &world)).1, "public");
        let error = world.launch(of("h", &image("private"), &world)).unwrap_err().to_string();
        assert!(error.contains("get manifest latest: 401 Unauthorized; its cred"), "{error}");
        assert!(error.contains(&format!("where {field} of --docker-config")), "{error}");
    }
}
