//! The data plane of one agent: VIPs, decided in the kernel.
//!
//! A process in the agent's cgroup that connects to a VIP is connected to one of the VIP's
//! backends instead; it never notices, and no packet is ever touched. The programs that do
//! it (`ebpf/programs`) and the maps they read are pinned in bpffs, so they go on while no
//! agent runs. [`DataPlane::open`] loads them or takes over what is pinned,
//! [`DataPlane::reconcile`] makes the maps say what the cluster view says, and [`router`]
//! shows them as minuteman did.
//!
//! # Minimum kernel version
//!
//! Linux 6.1, with BTF, bpffs and cgroup v2 (of which a hybrid tree's empty one is enough).

mod api;
mod apply;
mod config;
mod desired;
mod error;
mod hook;
mod lock;
mod object;
mod pins;
mod plan;
mod plane;
mod platform;
mod router;
mod stale;
mod status;
mod syscall;
mod table;
mod tables;

pub use api::{BackendState, VipState, VipsState};
pub use config::Config;
pub use desired::Skipped;
pub use error::Error;
pub use plane::{Changes, DataPlane};
pub use platform::cgroup2_mount;
pub use router::router;
pub use status::{BackendStatus, VipStatus};

/// By what backends are chosen.
pub use muster_packet::Policy;

/// Transport protocol of a VIP.
pub use muster_api::muster::Protocol;
