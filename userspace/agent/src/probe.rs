//! Carries out health checks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use muster_containerizer::{CommandSpec, ExecStatus};
use nix::sched::{CloneFlags, setns};
use tokio::net::TcpStream;

use crate::containers::Containers;
use crate::{Family, Probe};

/// How long a connection attempt inside a container goes on at most.
const LONGEST: Duration = Duration::from_mins(1);

/// Checks once; gives up after `timeout`. `address` is the machine's own.
pub(crate) async fn probe(
    containers: &Containers,
    container: &str,
    probe: Probe,
    timeout: Duration,
    address: IpAddr,
) -> Result<(), String> {
    let (port, family, http_of) = match probe {
        Probe::Command(spec) => return command(containers, container, spec, timeout).await,
        Probe::Http { port, path, statuses, family } => (port, family, Some((path, statuses))),
        Probe::Tcp { port, family } => (port, family, None),
    };
    let check = async {
        let place = Place::of(containers, container, family, address, port).await?;
        match http_of {
            Some((path, statuses)) => http(&place, &path, &statuses).await,
            None => connect(&place).await.map(drop),
        }
    };
    let result = tokio::time::timeout(timeout, check).await;
    result.unwrap_or_else(|_| Err(timed_out(timeout)))
}

/// The command is killed when its time is over.
async fn command(
    containers: &Containers,
    container: &str,
    spec: CommandSpec,
    timeout: Duration,
) -> Result<(), String> {
    match containers.exec(container, spec, timeout).await {
        Ok(ExecStatus::Exited(0)) => Ok(()),
        Ok(ExecStatus::Exited(status)) => Err(format!("the command exited with status {status}")),
        Ok(ExecStatus::Signaled(signal)) => {
            Err(format!("the command was killed by signal {signal}"))
        }
        Ok(ExecStatus::TimedOut) => Err(timed_out(timeout)),
        Err(error) => Err(format!("the command could not be run: {error}")),
    }
}

fn timed_out(timeout: Duration) -> String {
    format!("no answer after {timeout:?}")
}

/// Where a task may be reached.
#[derive(Debug)]
struct Place {
    candidates: Vec<SocketAddr>,
    /// The network that they are in; `None` is the agent's.
    namespace: Option<Arc<OwnedFd>>,
}

impl Place {
    async fn of(
        containers: &Containers,
        container: &str,
        family: Family,
        address: IpAddr,
        port: u16,
    ) -> Result<Self, String> {
        let Some((namespace, addresses)) = containers.network(container).await? else {
            let candidates = candidates(family, address, port);
            return Ok(Self { candidates, namespace: None });
        };
        // Loopback is the same everywhere; then the container's own.
        let mut candidates = candidates(family, loopback(family), port);
        let own = addresses.into_iter().filter(|own| own.is_ipv4() == (family == Family::V4));
        candidates.extend(own.map(|own| SocketAddr::new(own, port)));
        Ok(Self { candidates, namespace: Some(Arc::new(namespace)) })
    }
}

/// Connects from within a network namespace.
async fn connect_within(
    namespace: &Arc<OwnedFd>,
    address: SocketAddr,
) -> std::io::Result<TcpStream> {
    let namespace = Arc::clone(namespace);
    let (sender, connected) = tokio::sync::oneshot::channel();
    // A thread of its own, which ends in that namespace: no other work may ever run there. A
    // socket stays where it was made.
    std::thread::Builder::new().name("probe".into()).spawn(move || {
        let socket = || {
            setns(&*namespace, CloneFlags::CLONE_NEWNET)?;
            let stream = std::net::TcpStream::connect_timeout(&address, LONGEST)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        };
        // Nobody waits any more after the check's own time.
        let _ = sender.send(socket());
    })?;
    let stream: std::io::Result<std::net::TcpStream> =
        connected.await.unwrap_or_else(|_| Err(std::io::ErrorKind::Interrupted.into()));
    TcpStream::from_std(stream?)
}

fn loopback(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    }
}

/// Where the task may listen: as Mesos does, loopback; and for a server that is bound to
/// the machine's own address only, that.
fn candidates(family: Family, address: IpAddr, port: u16) -> Vec<SocketAddr> {
    let loopback = loopback(family);
    let own = Some(address).filter(|own| own.is_ipv4() == loopback.is_ipv4() && *own != loopback);
    [loopback].into_iter().chain(own).map(|address| SocketAddr::new(address, port)).collect()
}

async fn connect(place: &Place) -> Result<(TcpStream, SocketAddr), String> {
    let mut errors = Vec::new();
    for &address in &place.candidates {
        let connected = match &place.namespace {
            None => TcpStream::connect(address).await,
            Some(namespace) => connect_within(namespace, address).await,
        };
        match connected {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => errors.push(format!("connect to {address}: {error}")),
        }
    }
    Err(errors.join("; "))
}

async fn http(place: &Place, path: &str, statuses: &[u32]) -> Result<(), String> {
    let (stream, address) = connect(place).await?;
    let failed = |error: &dyn std::error::Error| format!("GET http://{address}{path}: {error}");
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, concat!("muster/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    let response = sender.send_request(request);
    tokio::pin!(connection, response);
    // The status is enough: the body is left unread and the connection closed.
    let answer = tokio::select! {
        answer = &mut response => answer,
        ended = &mut connection => match ended {
            Ok(()) => response.await,
            Err(error) => Err(error),
        },
    };
    let status = answer.map_err(|error| failed(&error))?.status().as_u16();
    let good = match statuses {
        [] => (200..400).contains(&status),
        statuses => statuses.contains(&u32::from(status)),
    };
    if good { Ok(()) } else { Err(format!("GET http://{address}{path}: status {status}")) }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    /// An address of loopback that is not the usual one.
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 77, 0, 1));

    /// Serves one connection with `answer` on a port of its own; gives the request.
    async fn serve(answer: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request[..length].to_vec()).unwrap()
        });
        (port, served)
    }

    fn here(candidates: Vec<SocketAddr>) -> Place {
        Place { candidates, namespace: None }
    }

    async fn get(port: u16, statuses: &[u32]) -> Result<(), String> {
        http(&here(candidates(Family::V4, LOOPBACK, port)), "/ready?a=b", statuses).await
    }

    #[tokio::test]
    async fn statuses_from_200_to_399_are_healthy() {
        let cases = [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 204 No Content\r\n\r\n", true),
            ("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", true),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1000000\r\n\r\nabc", true),
            ("HTTP/1.1 400 Bad Request\r\n\r\n", false),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", false),
            ("SSH-2.0-OpenSSH\r\n", false),
            ("", false),
        ];
        for (answer, healthy) in cases {
            let (port, served) = serve(answer).await;
            let result = get(port, &[]).await;
            assert_eq!(result.is_ok(), healthy, "{answer}: {result:?}");
            let request = served.await.unwrap();
            assert!(request.starts_with("GET /ready?a=b HTTP/1.1\r\n"), "{request}");
            assert!(request.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{request}");
        }
    }

    #[tokio::test]
    async fn statuses_that_are_named_are_the_only_good_ones() {
        let (port, _served) = serve("HTTP/1.1 404 Not Found\r\n\r\n").await;
        get(port, &[404, 410]).await.unwrap();
        let (port, _served) = serve("HTTP/1.1 200 OK\r\n\r\n").await;
        let error = get(port, &[404]).await.unwrap_err();
        assert!(error.ends_with(": status 200"), "{error}");
    }

    #[tokio::test]
    async fn a_server_on_the_machines_address_alone_is_found() {
        let listener = TcpListener::bind((OTHER, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        connect(&here(candidates(Family::V4, OTHER, port))).await.unwrap();
        let error = connect(&here(candidates(Family::V4, LOOPBACK, port))).await.unwrap_err();
        assert!(error.starts_with(&format!("connect to 127.0.0.1:{port}: ")), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_fails_after_the_timeout() {
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wanted = get(port, &[]);
        let result = tokio::time::timeout(Duration::from_millis(50), wanted).await;
        assert!(result.is_err(), "{result:?}");
    }

    #[test]
    fn each_family_has_its_own_addresses() {
        let v6: IpAddr = "fd00::1".parse().unwrap();
        let shown = |family, own| {
            candidates(family, own, 1).iter().map(SocketAddr::to_string).collect::<Vec<_>>()
        };
        assert_eq!(shown(Family::V4, OTHER), ["127.0.0.1:1", "127.77.0.1:1"]);
        assert_eq!(shown(Family::V4, LOOPBACK), ["127.0.0.1:1"]);
        assert_eq!(shown(Family::V4, v6), ["127.0.0.1:1"]);
        assert_eq!(shown(Family::V6, v6), ["[::1]:1", "[fd00::1]:1"]);
        assert_eq!(shown(Family::V6, OTHER), ["[::1]:1"]);
    }
}
