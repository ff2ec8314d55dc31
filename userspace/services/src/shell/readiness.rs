//! Makes readiness checks.

use std::io::Read as _;
use std::sync::Arc;

use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::scheduler::{Answer, Check};

/// What of a body is kept.
const BODY: u64 = 64 << 10;

/// Makes one check. Blocks for as long as that takes.
pub(super) fn make(check: &Check) -> Result<Answer, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .disable_verification(true)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("muster/", env!("CARGO_PKG_VERSION")))
        .timeout_global(Some(check.timeout))
        .tls_config(tls)
        .build();
    let answer = Agent::new_with_config(config).get(&check.url).call();
    let mut answer = answer.map_err(|error| error.to_string())?;
    let content_type = answer.headers().get("content-type");
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (status, content_type) = (answer.status().as_u16(), content_type.to_owned());
    let mut body = Vec::new();
    if check.whole {
        let mut reader = answer.body_mut().as_reader().take(BODY);
        reader.read_to_end(&mut body).map_err(|error| error.to_string())?;
    }
    Ok(Answer { status, content_type, body: String::from_utf8_lossy(&body).into_owned() })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;
    use crate::app::AppId;
    use crate::instance::InstanceId;

    fn check(url: String, whole: bool) -> Check {
        let instance = InstanceId::new(AppId::resolve("a"), uuid::Uuid::nil());
        Check { instance, url, timeout: Duration::from_secs(30), whole }
    }

    /// A server of one answer.
    fn serve(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        format!("http://{address}/ready")
    }

    #[test]
    fn every_status_is_an_answer() {
        let answer = "HTTP/1.1 503 Busy\r\ncontent-type: text/x\r\ncontent-length: 3\r\n\r\nnot";
        let made = make(&check(serve(answer), true)).unwrap();
        let expected = Answer { status: 503, content_type: "text/x".into(), body: "not".into() };
        assert_eq!(made, expected);
        assert_eq!(make(&check(serve(answer), false)).unwrap().body, "");
        let moved = "HTTP/1.1 302 Found\r\nlocation: /else\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(make(&check(serve(moved), true)).unwrap().status, 302);
    }

    #[test]
    fn who_does_not_listen_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        make(&check(url, true)).unwrap_err();
    }
}
