//! The cluster harness: whole clusters on one machine, for the scenarios and the demo.
//!
//! A *machine* is a network namespace. Machines are joined by a bridge in a namespace of
//! its own, and nothing is connected to the root namespace, so any number of clusters with
//! the same addresses run side by side. On the machines run the real `muster master` and
//! `muster agent`, each with a work directory, a cgroup root and a bpffs folder of its own.
//!
//! ```no_run
//! use muster_harness::{Cluster, Options};
//! # fn main() -> Result<(), muster_harness::Error> {
//! let mut cluster = Cluster::start(&Options::named("example").agents(3))?;
//! let info = cluster.marathon().get("/v2/info")?;
//! println!("{info}");
//! assert!(cluster.stop()?.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! A cluster is removed when it is dropped, also by a panic, and on SIGINT, SIGTERM and
//! SIGHUP; what a killed owner leaves is swept when the next cluster is claimed.

pub mod bpffs;
pub mod cgroup;
pub mod client;
pub mod cluster;
pub mod command;
pub mod daemon;
pub mod error;
pub mod http;
pub mod image;
pub mod instance;
pub mod interrupt;
pub mod machine;
pub mod marathon;
pub mod mounts;
pub mod netns;
pub mod paths;
mod process;
pub mod sandbox;
pub mod snapshot;
pub mod sweep;
pub mod switch;
pub mod traffic;
pub mod wait;

pub use client::Client;
pub use cluster::{Cluster, Options};
pub use error::{Error, Result};
pub use http::{Http, Response};
pub use marathon::Marathon;
pub use netns::NetNs;
pub use wait::{eventually, ready};

/// Whether tests that make namespaces, mounts and cgroups can run here, which takes root; says
/// so when not.
///
/// # Panics
/// Without root when the environment has `CI`: there, no test may be left out.
pub fn privileged() -> bool {
    if nix::unistd::geteuid().is_root() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "in CI this test must run, as root");
    eprintln!("skipped: needs root");
    false
}
