use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::*;

/// What a web server has at a path: the whole answer.
type Answers = HashMap<&'static str, Vec<u8>>;

/// A web server on loopback; it ends with the test's process.
struct Web {
    address: String,
    asked: Arc<AtomicUsize>,
    /// Whether the rest of an answer is held back.
    held: Arc<(Mutex<bool>, Condvar)>,
}

impl Web {
    fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (asked, held) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let web = Self { address, asked: Arc::clone(&asked), held: Arc::clone(&held) };
        std::thread::spawn(move || {
            let answers = Arc::new(answers);
            for stream in listener.incoming() {
                asked.fetch_add(1, Ordering::SeqCst);
                let (answers, held) = (Arc::clone(&answers), Arc::clone(&held));
                std::thread::spawn(move || answer(stream.unwrap(), &answers, &held));
            }
        });
        web
    }

    fn uri(&self, path: &str) -> Uri {
        uri(&format!("http://{}{path}", self.address))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn hold(&self, hold: bool) {
        *self.held.0.lock().unwrap() = hold;
        self.held.1.notify_all();
    }
}

fn answer(mut stream: TcpStream, answers: &Answers, held: &(Mutex<bool>, Condvar)) {
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap().to_owned();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let missing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
    let bytes = answers.get(path.as_str()).unwrap_or(&missing);
    let half = bytes.len() - bytes.len().min(2);
    stream.write_all(&bytes[..half]).unwrap();
    let guard = held.0.lock().unwrap();
    drop(held.1.wait_while(guard, |held| *held).unwrap());
    // Whom nobody waits for any more may find that the other side is gone.
    let _ = stream.write_all(&bytes[half..]);
}

fn ok(body: &[u8]) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend(body);
    answer
}

fn uri(value: &str) -> Uri {
    let value = value.to_owned();
    Uri { value, executable: false, extract: true, cache: false, output_file: None }
}

/// A fetcher with a cache and sandboxes.
struct Bench {
    directory: tempfile::TempDir,
    fetcher: Fetcher,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Fetching)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Fetching::new(directory.path().join("cache"));
        settings.stall_timeout = Duration::from_mins(1);
        change(&mut settings);
        let fetcher = Fetcher::new(settings, None).unwrap();
        Self { directory, fetcher }
    }

    fn sandbox(&self, id: &str) -> PathBuf {
        self.directory.path().join(id)
    }

    fn fetch(&self, id: &str, uris: &[Uri]) -> Result<Vec<PathBuf>, String> {
        let sandbox = self.sandbox(id);
        fs::create_dir_all(&sandbox).unwrap();
        let wanted = Wanted { container: id, uris, user: "root", sandbox: &sandbox };
        self.fetcher
            .fetch(&wanted, &Cancel::default(), &Progress::default())
            .map_err(|error| error.to_string())
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.directory.path().join(path)).unwrap()
    }

    fn cached(&self) -> usize {
        fs::read_dir(self.directory.path().join("cache/files")).unwrap().count()
    }
}

fn cached(uri: Uri) -> Uri {
    Uri { cache: true, ..uri }
}

#[test]
fn files_from_web_and_disk_with_their_options() {
    let redirect = b"HTTP/1.1 302 Found\r\nlocation: /a\r\ncontent-length: 0\r\n\r\n".to_vec();
    let web = Web::start([("/a", ok(b"from the web")), ("/moved", redirect)].into());
    let bench = Bench::new(|settings| settings.frameworks_home = Some("/".into()));
    let own = bench.directory.path().join("own.sh");
    fs::write(&own, "from disk").unwrap();
    let path = own.to_str().unwrap();
    let uris = [
        web.uri("/a"),
        Uri { output_file: Some("deep/b".into()), ..web.uri("/moved") },
        Uri { executable: true, ..uri(&format!("file://{path}")) },
        Uri { output_file: Some("c".into()), ..uri(path.trim_start_matches('/')) },
    ];
    let made = bench.fetch("t", &uris).unwrap();
    assert_eq!(made, ["a", "c", "deep", "own.sh"].map(PathBuf::from));
    assert_eq!(bench.read("t/a"), "from the web");
    assert_eq!(bench.read("t/deep/b"), "from the web");
    assert_eq!(bench.read("t/c"), "from disk");
    let mode = |name: &str| bench.sandbox("t").join(name).metadata().unwrap().mode() & 0o777;
    assert_eq!((mode("own.sh"), mode("a")), (0o755, 0o644));
    assert_eq!(bench.cached(), 0);
}

#[test]
fn failures_name_the_uri_and_the_cause() {
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort".to_vec();
    let web =
        Web::start([("/short", short), ("/a.tgz", ok(b"no archive")), ("/a", ok(b"a"))].into());
    let bench = Bench::new(|_| {});
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let digest = "0".repeat(64);
    for (uri, cause) in [
        (web.uri("/none"), "404 Not Found"),
        (web.uri("/short"), ""),
        (web.uri("/a.tgz"), "extract: "),
        (web.uri(&format!("/a#sha256={digest}")), "its sha256 is ca978112"),
        (uri(&format!("http://{gone}/x")), ""),
        (uri("/nowhere/at/all"), "open /nowhere/at/all: "),
        (uri("/etc"), "/etc is not a file"),
        (uri("ftp://h/x"), "the scheme `ftp`"),
        (Uri { output_file: Some("../x".into()), ..uri("/etc/hosts") }, "output_file"),
    ] {
        for uri in [uri.clone(), cached(uri)] {
            let error = bench.fetch("t", std::slice::from_ref(&uri)).unwrap_err();
            let start = format!(
                "Failed to fetch all URIs for container 't': Failed to fetch '{}': {cause}",
                uri.value
            );
            let expected = error.starts_with(&start)
                || error.contains(cause) && error.contains(&format!("'{}'", uri.value));
            assert!(expected, "{start}: {error}");
        }
    }
    let left: Vec<_> =
        fs::read_dir(bench.sandbox("t")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left, [bench.sandbox("t").join("a.tgz")]);
    // What cannot be understood keeps all from being fetched.
    let before = web.asked();
    bench.fetch("u", &[web.uri("/a"), uri("hdfs://h/x")]).unwrap_err();
    assert_eq!(web.asked(), before);
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    let web = Web::start([("/a", ok(b"body"))].into());
    web.hold(true);
    let bench = Bench::new(|settings| settings.stall_timeout = Duration::from_millis(100));
    let error = bench.fetch("t", &[web.uri("/a")]).unwrap_err();
    assert!(error.contains("nothing has come for 0.1 s (--fetcher-stall-timeout)"), "{error}");
    assert_eq!(fs::read_dir(bench.sandbox("t")).unwrap().count(), 0);
    web.hold(false);
}

#[test]
fn a_checksum_that_is_right_lets_it_pass() {
    let web = Web::start([("/a", ok(b"abc"))].into());
    let bench = Bench::new(|_| {});
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    bench.fetch("t", &[web.uri(&format!("/a#sha256={digest}"))]).unwrap();
    assert_eq!(bench.read("t/a"), "abc");
}

#[test]
fn what_is_cached_is_fetched_once_for_all_that_want_it() {
    let web = Web::start([("/a", ok(b"text"))].into());
    let bench = Bench::new(|_| {});
    web.hold(true);
    std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..4)
            .map(|task| {
                let (bench, uri) = (&bench, cached(web.uri("/a")));
                scope.spawn(move || bench.fetch(&format!("t{task}"), &[uri]).unwrap())
            })
            .collect();
        while web.asked() == 0 {
            std::thread::yield_now();
        }
        web.hold(false);
        for task in tasks {
            task.join().unwrap();
        }
    });
    bench.fetch("late", &[cached(web.uri("/a"))]).unwrap();
    for task in ["t0", "t1", "t2", "t3", "late"] {
        assert_eq!(bench.read(&format!("{task}/a")), "text");
    }
    assert_eq!((web.asked(), bench.cached()), (1, 1));
    bench.fetch("t0", &[web.uri("/a")]).unwrap();
    assert_eq!(web.asked(), 2);
}

#[test]
fn what_has_no_room_is_fetched_without_the_cache() {
    let endless = b"HTTP/1.1 200 OK\r\n\r\nno length given".to_vec();
    let web =
        Web::start([("/long", ok(&[b'x'; 100])), ("/endless", endless), ("/a", ok(b"a"))].into());
    let bench = Bench::new(|settings| settings.cache_bytes = 10);
    for path in ["/long", "/endless", "/a"] {
        bench.fetch("t", &[cached(web.uri(path))]).unwrap();
    }
    assert_eq!(bench.read("t/long").len(), 100);
    assert_eq!(bench.read("t/endless"), "no length given");
    assert_eq!(bench.cached(), 1);
}

#[test]
fn a_cached_archive_is_unpacked_and_not_there_itself() {
    let bench = Bench::new(|_| {});
    let archive = bench.directory.path().join("a.tar");
    let mut builder = tar::Builder::new(File::create(&archive).unwrap());
    builder.append_path_with_name("/etc/hostname", "inner/name").unwrap();
    builder.into_inner().unwrap();
    let given = uri(archive.to_str().unwrap());
    assert_eq!(bench.fetch("t", &[cached(given.clone())]).unwrap(), [Path::new("inner")]);
    let made = bench.fetch("u", std::slice::from_ref(&given)).unwrap();
    assert_eq!(made, ["a.tar", "inner"].map(PathBuf::from));
    let plain = Uri { extract: false, ..given };
    assert_eq!(bench.fetch("v", &[plain]).unwrap(), [Path::new("a.tar")]);
}

#[test]
fn nothing_of_an_earlier_run_is_used() {
    let web = Web::start([("/a", ok(b"whole"))].into());
    let bench = Bench::new(|_| {});
    bench.fetch("t", &[cached(web.uri("/a"))]).unwrap();
    let settings = bench.fetcher.settings.clone();
    let error = Fetcher::new(settings.clone(), None).err().unwrap().to_string();
    assert!(error.contains("--fetcher-cache-dir"), "{error}");
    let Bench { directory, fetcher } = bench;
    drop(fetcher);
    // As if it had been killed before the end.
    fs::write(directory.path().join("cache/files/1"), "hal").unwrap();
    let bench = Bench { directory, fetcher: Fetcher::new(settings, None).unwrap() };
    assert_eq!(bench.cached(), 0);
    bench.fetch("u", &[cached(web.uri("/a"))]).unwrap();
    assert_eq!((bench.read("u/a").as_str(), web.asked()), ("whole", 2));
}

#[test]
fn a_link_in_the_sandbox_leads_nowhere() {
    let bench = Bench::new(|_| {});
    let outside = bench.directory.path().join("outside");
    fs::write(&outside, "untouched").unwrap();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(bench.sandbox("t")).unwrap();
    symlink(&outside, bench.sandbox("t").join("hosts")).unwrap();
    bench.fetch("t", &[Uri { executable: true, ..uri("/etc/hosts") }]).unwrap();
    assert_eq!(bench.read("outside"), "untouched");
    assert_eq!(outside.metadata().unwrap().mode() & 0o777, 0o600);
    assert!(bench.sandbox("t").join("hosts").symlink_metadata().unwrap().is_file());
}
