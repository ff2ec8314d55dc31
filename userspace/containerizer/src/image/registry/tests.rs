//! Registries as none should be.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::super::digest::Digest;
use super::super::progress::Pulls;
use super::super::reference::Reference;
use super::super::uses::{Lease, Uses};
use super::super::{ImageError, ImageLimits};
use super::{Pull, Registries, Shelf, pull};
use crate::Secret;

/// `user:pass` in base64.
const AUTH: &str = "dXNlcjpwYXNz";

/// One request: its path, and its headers in lower case.
#[derive(Clone, Debug)]
struct Request {
    path: String,
    headers: String,
}

/// A server whose every answer is for the test to say; it ends with the test.
struct Server {
    host: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` is given the request and how many had the same path before.
    fn start(answer: impl Fn(&Request, usize) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<Request>>>::default();
        let record = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(mut client) = client else { return };
                let Some(request) = read(&client) else { continue };
                let mut record = record.lock().unwrap();
                let before = record.iter().filter(|known| known.path == request.path).count();
                record.push(request.clone());
                // The client may have seen enough.
                let _ = client.write_all(&answer(&request, before));
            }
        });
        Self { host, asked }
    }

    fn asked(&self, part: &str) -> Vec<Request> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|request| request.path.contains(part)).cloned().collect()
    }
}

fn read(client: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(client).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let headers = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
    let headers = headers.map(|line| line + "\n").collect::<String>();
    Some(Request { path, headers: headers.to_lowercase() })
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// An image of one layer, as documents.
struct Documents {
    manifest: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
}

impl Documents {
    fn new(size: Option<u64>) -> Self {
        let layer = vec![7; 5000];
        let config = json!({
            "architecture": oci_spec::image::Arch::default().to_string(), "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer).to_string()]},
        });
        let config = config.to_string().into_bytes();
        let describe = |kind: &str, bytes: &[u8], size: Option<u64>| {
            let media_type = format!("application/vnd.oci.image.{kind}");
            let size = size.unwrap_or(bytes.len() as u64);
            json!({"mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": size})
        };
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": describe("config.v1+json", &config, None),
            "layers": [describe("layer.v1.tar", &layer, size)],
        });
        Self { manifest: manifest.to_string().into_bytes(), config, layer }
    }

    /// What a registry that is as it should be answers.
    fn serve(&self, request: &Request) -> Vec<u8> {
        let is = |bytes: &[u8]| request.path.ends_with(Digest::of(bytes).hex());
        let body = match request.path.as_str() {
            path if path.contains("/manifests/") => &self.manifest,
            _ if is(&self.config) => &self.config,
            _ if is(&self.layer) => &self.layer,
            _ => return answer("404 Not Found", "", b""),
        };
        answer("200 OK", "", body)
    }
}

struct Client {
    directory: tempfile::TempDir,
    shelf: Shelf,
    lease: Lease,
}

impl Client {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(directory.path().to_owned());
        let lease = Uses::open(directory.path(), directory.path()).unwrap().lease();
        Self { directory, shelf, lease }
    }

    fn pull(&self, server: &Server, limits: ImageLimits) -> Result<(), ImageError> {
        let reference = Reference::parse(&format!("{}/app", server.host)).unwrap();
        let registries =
            Registries { insecure: vec![server.host.clone()], ..Registries::default() };
        let config = json!({"auths": {&server.host: {"auth": AUTH}}}).to_string();
        let secret = Secret::new(config);
        let (reference, secret) = (&reference, Some(&secret));
        let pulled = Pull {
            reference,
            secret,
            force: false,
            limits,
            lease: &self.lease,
            pulls: &Pulls::default(),
        };
        pull(pulled, &registries, &self.shelf).map(|resolved| assert!(resolved.is_some()))
    }

    fn refused(&self, server: &Server) -> String {
        self.pull(server, ImageLimits::default()).unwrap_err().to_string()
    }
}

#[test]
fn a_registry_that_asks_for_patience_gets_it() {
    let documents = Documents::new(None);
    let server = Server::start(move |request, before| match (request.path.as_str(), before) {
        (path, 0) if path.contains("manifests") => {
            answer("429 Too Many Requests", "retry-after: 0\r\n", b"")
        }
        (path, 1) if path.contains("manifests") => answer("503 Service Unavailable", "", b""),
        (_, 0) => answer("502 Bad Gateway", "", b""),
        _ => documents.serve(request),
    });
    Client::new().pull(&server, ImageLimits::default()).unwrap();
    assert_eq!(server.asked("manifests").len(), 3);
    assert_eq!(server.asked("blobs").len(), 4);
}

#[test]
fn but_not_for_ever() {
    let server = Server::start(|_, _| answer("500 Internal Server Error", "", b""));
    let error = Client::new().refused(&server);
    assert!(error.contains("get manifest latest: 500 Internal Server Error; the reg"), "{error}");
    assert_eq!(server.asked("manifests").len(), 5);
    let server =
        Server::start(|_, _| answer("429 Too Many Requests", "retry-after: 86400\r\n", b""));
    let error = Client::new().refused(&server);
    assert!(error.contains("429 Too Many Requests; it limits how often"), "{error}");
    assert_eq!(server.asked("manifests").len(), 1);
}

#[test]
fn a_password_is_not_told_to_where_a_registry_sends_us() {
    let documents = Arc::new(Documents::new(None));
    let elsewhere = {
        let documents = Arc::clone(&documents);
        Server::start(move |request, _| documents.serve(request))
    };
    let host = elsewhere.host.clone();
    let server = Server::start(move |request, _| {
        if !request.headers.contains("authorization: basic") {
            let challenge = "www-authenticate: Basic realm=\"r\"\r\n";
            return answer("401 Unauthorized", challenge, b"");
        }
        if request.path.contains("blobs") {
            let location = format!("location: http://{host}{}\r\n", request.path);
            return answer("307 Temporary Redirect", &location, b"");
        }
        documents.serve(request)
    });
    Client::new().pull(&server, ImageLimits::default()).unwrap();
    let asked = elsewhere.asked("blobs");
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|request| !request.headers.contains("authorization")), "{asked:?}");
}

#[test]
fn a_password_buys_a_token_and_only_the_token_is_shown() {
    let documents = Documents::new(None);
    let own = Arc::<Mutex<String>>::default();
    let realm = Arc::clone(&own);
    let server = Server::start(move |request, _| {
        if request.path.starts_with("/token?") {
            assert!(
                request.headers.contains(&format!("authorization: basic {}", AUTH.to_lowercase()))
            );
            return answer("200 OK", "", br#"{"token":"T0K"}"#);
        }
        if request.headers.contains("authorization: bearer t0k") {
            return documents.serve(request);
        }
        assert!(!request.headers.contains("authorization"));
        let host = realm.lock().unwrap();
        let challenge =
            format!("www-authenticate: Bearer realm=\"http://{host}/token\",service=\"s\"\r\n");
        answer("401 Unauthorized", &challenge, b"")
    });
    own.lock().unwrap().clone_from(&server.host);
    Client::new().pull(&server, ImageLimits::default()).unwrap();
    let tokens = server.asked("/token");
    assert_eq!(tokens.len(), 1);
    assert!(tokens[0].path.contains("service=s"), "{tokens:?}");
    assert!(tokens[0].path.contains("scope=repository"), "{tokens:?}");
}

#[test]
fn what_is_not_what_the_manifest_says_is_not_kept() {
    for (body, said, reason) in [
        (vec![8; 5000], None, "what it gives has another digest"),
        (vec![7; 6000], None, "it is longer than the manifest's 5000 bytes"),
        (vec![7; 5000], Some(4000), "it is longer than the manifest's 4000 bytes"),
    ] {
        let documents = Documents::new(said);
        let layer = Digest::of(&documents.layer);
        let hex = layer.hex().to_owned();
        let server = Server::start(move |request, _| {
            if request.path.ends_with(&hex) {
                return answer("200 OK", "", &body);
            }
            documents.serve(request)
        });
        let client = Client::new();
        let error = client.refused(&server);
        assert!(error.contains(reason), "{error}");
        assert!(!client.shelf.has(&layer));
    }
    // A manifest that is not what was asked for, or none at all.
    let server = Server::start(|_, _| answer("200 OK", "", b"<html>"));
    assert!(Client::new().refused(&server).contains("not a manifest"));
    let server = Server::start(|_, _| answer("200 OK", "", &vec![b' '; (4 << 20) + 1]));
    assert!(Client::new().refused(&server).contains("it is larger than 4194304 bytes"));
}

#[test]
fn what_is_too_large_is_not_downloaded() {
    let documents = Documents::new(Some(1 << 40));
    let server = Server::start(move |request, _| documents.serve(request));
    let client = Client::new();
    let error = client.refused(&server);
    assert!(error.contains("layers of 1099511627776 bytes: more than the"), "{error}");
    assert!(error.contains("--image-max-size"), "{error}");
    // The config only.
    assert_eq!(server.asked("blobs").len(), 1);
    let partial = client.directory.path().join("partial");
    assert_eq!(std::fs::read_dir(partial).unwrap().count(), 0);
}
