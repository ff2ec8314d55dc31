//! Carries out checks.

mod connection;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use muster_containerizer::{ExecStatus, Execution};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::containers::Containers;
use crate::{Finding, Probe};
use connection::connect;

/// Checks once; gives up after `timeout`. `address` is the machine's own. What is not a finding
/// is why there is none.
pub(crate) async fn probe(
    containers: &Containers,
    container: &str,
    probe: Probe,
    timeout: Duration,
    address: IpAddr,
) -> Result<Finding, String> {
    let (port, family, http_of) = match probe {
        Probe::Command(execution) => {
            return command(containers, container, execution, timeout).await;
        }
        Probe::Http { port, path, tls, family } => (port, family, Some((path, tls))),
        Probe::Tcp { port, family } => (port, family, None),
    };
    let check = async {
        let namespace = containers.network(container).await?;
        let connected = connect(namespace, family, address, port).await;
        match http_of {
            Some((path, tls)) => {
                let (stream, address) = connected?;
                let status = if tls {
                    let stream = tls::wrap(stream, address).await?;
                    get(stream, "https", address, &path).await
                } else {
                    get(stream, "http", address, &path).await
                };
                status.map(Finding::Status)
            }
            None => Ok(Finding::Connection(connected.map(drop))),
        }
    };
    let result = tokio::time::timeout(timeout, check).await;
    result.unwrap_or_else(|_| Err(timed_out(timeout)))
}

/// The command is killed when its time is over.
async fn command(
    containers: &Containers,
    container: &str,
    execution: Execution,
    timeout: Duration,
) -> Result<Finding, String> {
    match containers.exec(container, execution, timeout).await {
        Ok(ExecStatus::Exited(status)) => Ok(Finding::Exit(status)),
        Ok(ExecStatus::Signaled(signal)) => Ok(Finding::Exit(128 + signal)),
        Ok(ExecStatus::TimedOut) => Err(timed_out(timeout)),
        Err(error) => Err(format!("the command could not be run: {error}")),
    }
}

fn timed_out(timeout: Duration) -> String {
    format!("no answer after {timeout:?}")
}

/// The status that a GET is answered with. Redirections are answers like others.
async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    scheme: &str,
    address: SocketAddr,
    path: &str,
) -> Result<u16, String> {
    let failed = |error: &dyn std::error::Error| format!("GET {scheme}://{address}{path}: {error}");
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, concat!("muster/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*")
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
    Ok(answer.map_err(|error| failed(&error))?.status().as_u16())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::Family;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

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

    async fn get_from(port: u16) -> Result<u16, String> {
        let (stream, address) = connect(None, Family::V4, LOOPBACK, port).await?;
        get(stream, "http", address, "/ready?a=b").await
    }

    #[tokio::test]
    async fn the_status_of_the_answer_is_what_is_found() {
        let cases = [
            ("HTTP/1.1 200 OK\r\n\r\n", Some(200)),
            ("HTTP/1.1 204 No Content\r\n\r\n", Some(204)),
            ("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", Some(302)),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1000000\r\n\r\nabc", Some(200)),
            ("HTTP/1.1 400 Bad Request\r\n\r\n", Some(400)),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Some(503)),
            ("SSH-2.0-OpenSSH\r\n", None),
            ("", None),
        ];
        for (answer, status) in cases {
            let (port, served) = serve(answer).await;
            let result = get_from(port).await;
            assert_eq!(result.clone().ok(), status, "{answer}: {result:?}");
            let request = served.await.unwrap();
            assert!(request.starts_with("GET /ready?a=b HTTP/1.1\r\n"), "{request}");
            assert!(request.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{request}");
        }
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_waited_for_no_longer_than_the_timeout() {
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let result = tokio::time::timeout(Duration::from_millis(50), get_from(port)).await;
        assert!(result.is_err(), "{result:?}");
    }
}
