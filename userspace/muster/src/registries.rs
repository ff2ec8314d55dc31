//! Flags of registries: where images come from.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use muster_containerizer::Registries;

#[derive(Debug, Args)]
pub(crate) struct RegistryFlags {
    /// The registry of images whose name has none, `https://HOST[:PORT]`, or the absolute path
    /// of a directory with archives, `NAME[:TAG].tar` as `docker save` writes them. Empty: only
    /// the image store.
    #[arg(long, env = "MUSTER_DOCKER_REGISTRY", default_value = "https://registry-1.docker.io")]
    docker_registry: String,
    /// Registries that are asked before it, in this order.
    #[arg(long, env = "MUSTER_DOCKER_REGISTRY_MIRROR", value_delimiter = ',')]
    docker_registry_mirror: Vec<String>,
    /// Registries on this machine that have no TLS: "127.0.0.1:5000".
    #[arg(long, env = "MUSTER_INSECURE_REGISTRY", value_delimiter = ',')]
    insecure_registry: Vec<String>,
    /// Credentials of registries: Docker's config.json, or the absolute path of a file with it.
    #[arg(long, env = "MUSTER_DOCKER_CONFIG", hide_env_values = true)]
    docker_config: Option<String>,
    /// A file with the certificates (PEM) of those who vouch for registries; the system's by
    /// default.
    #[arg(long, env = "MUSTER_DOCKER_REGISTRY_CA")]
    docker_registry_ca: Option<PathBuf>,
}

impl TryFrom<RegistryFlags> for Registries {
    type Error = anyhow::Error;

    fn try_from(flags: RegistryFlags) -> anyhow::Result<Self> {
        let read = |config: String| {
            let path = config.strip_prefix("file://").unwrap_or(&config);
            if !path.starts_with('/') {
                return Ok(config);
            }
            std::fs::read_to_string(path).with_context(|| format!("--docker-config {path}"))
        };
        Ok(Self {
            default: Some(flags.docker_registry).filter(|url| !url.is_empty()),
            mirrors: flags.docker_registry_mirror,
            insecure: flags.insecure_registry,
            config: flags.docker_config.map(read).transpose()?,
            certificates: flags.docker_registry_ca,
        })
    }
}
