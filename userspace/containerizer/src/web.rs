//! How this program speaks HTTP: whom it trusts, and how long it waits.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

const CONNECT: Duration = Duration::from_secs(15);
/// Where Debian and Alpine, and where Fedora keeps whom it trusts.
const SYSTEM: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// A client that takes nothing without TLS if `secure`, and gives up on who says nothing for
/// `silence`. Statuses are the caller's to judge. `certificates` is a file (PEM) with those who
/// may vouch for servers, the system's if `None`; without TLS nobody has to.
///
/// # Errors
/// What is wrong with the certificates.
pub(crate) fn client(
    secure: bool,
    silence: Duration,
    certificates: Option<&Path>,
) -> Result<Agent, String> {
    let mut builder = Agent::config_builder()
        .http_status_as_error(false)
        .https_only(secure)
        .user_agent(concat!("muster/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT.min(silence)))
        .timeout_recv_response(Some(silence))
        .timeout_per_read(Some(silence));
    if secure {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(roots(certificates)?)
            .unversioned_rustls_crypto_provider(provider);
        builder = builder.tls_config(tls.build());
    }
    Ok(Agent::new_with_config(builder.build()))
}

fn roots(file: Option<&Path>) -> Result<RootCerts, String> {
    let system = || SYSTEM.iter().map(Path::new).find(|path| path.is_file());
    let path = file.or_else(system).ok_or(
        "this machine trusts nobody: install ca-certificates or give --docker-registry-ca",
    )?;
    let shown = path.display();
    let text = fs::read(path).map_err(|error| format!("read {shown}: {error}"))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) =
            item.map_err(|error| format!("{shown}: {error}"))?
        {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(format!("{shown} holds no certificate"));
    }
    Ok(RootCerts::from(certificates))
}
