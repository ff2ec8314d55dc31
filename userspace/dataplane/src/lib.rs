//! The data plane of one agent: VIPs, decided in the kernel.
//!
//! A process in the agent's cgroup that connects to a VIP is connected to one of the VIP's
//! backends instead; it never notices, and no packet is ever touched. The programs that do
//! it (`ebpf/programs`) and the maps they read are pinned in bpffs, so they go on while no
//! agent runs. [`DataPlane::open`] loads them or takes over what is pinned,
//! [`DataPlane::reconcile`] makes the maps say what the cluster view says, and [`router`]
//! shows them as minuteman did.
//!
//! Where the kernel lacks what that takes, or by choice ([`VipBackend`]), it is done as minuteman
//! did it: SYNs to VIPs are queued to this process, which leads each to a backend by an entry
//! in the connection table.
//!
//! # Minimum kernel version
//!
//! Linux 5.12, all of it from 6.1 on, with BTF, bpffs and cgroup v2 (of which a hybrid tree's empty one is enough).

mod also;
mod api;
mod apply;
mod changes;
mod config;
mod current;
mod dataplane;
mod desired;
mod error;
mod established;
mod exometer;
mod flows;
mod forwarded;
mod front;
mod hook;
mod latencies;
mod lock;
mod looking;
mod net;
mod nfqueue;
mod object;
mod pages;
mod pins;
mod places;
mod plan;
mod plane;
mod platform;
mod prometheus;
mod report;
mod router;
mod skips;
mod snapshot;
mod stale;
mod status;
mod syscall;
mod table;
mod tables;
mod view;

pub use api::{BackendState, VipState, VipsState};
pub use changes::Changes;
pub use config::{Config, VipBackend};
pub use dataplane::DataPlane;
pub use desired::Skipped;
pub use error::Error;
pub use established::Established;
pub use front::{Forward, Interface, InterfaceEvents, Interfaces, InterfacesError, Means};
pub use latencies::Latencies;
pub use net::{net_router, tagged_json};
pub use platform::{
    cgroup2_mount,
    features::{FEATURES, Feature, lacking},
};
pub use report::{BackendReport, Report, SkippedReport, VipReport, monitor_router};
pub use router::router;
pub use skips::Skips;
pub use snapshot::{MapUse, Snapshot};
pub use status::{BackendStatus, VipStatus};

/// By what backends are chosen.
pub use muster_packet::Policy;

/// Whether a backend gets new connections.
pub use muster_packet::Tier;

/// Transport protocol of a VIP.
pub use muster_api::muster::Protocol;
