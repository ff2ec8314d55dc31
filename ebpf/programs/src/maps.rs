//! Every map of the object. User space pins them by these names.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{Array, HashMap, PerCpuArray, SkStorage},
    macros::btf_map,
};
use muster_packet::{
    Backend, Bucket, Counted, Counters, Endpoint, Flows, Forwarded, Forwarding, Handshakes, Known,
    KnownAddress, MAX_BACKENDS, MAX_BUCKETS, MAX_CONNECTIONS, MAX_COUNTERS, MAX_KNOWN, MAX_TRACKED,
    MAX_VIPS, Meta, Networks, Pair, Peer, Slot, Tracked, Vip,
    maglev::{MAX_PAGES, MaglevPage},
};

/// Memory grows with use instead of being taken for the worst case.
const GROWS: usize = BPF_F_NO_PREALLOC as usize;

/// Which VIPs there are, and where their backends are.
#[btf_map(name = "vips")]
pub static VIPS: HashMap<Endpoint, Vip, MAX_VIPS, GROWS> = HashMap::new();

/// Where there can be VIPs.
#[btf_map(name = "networks")]
pub static NETWORKS: Array<Networks, 1> = Array::new();

/// The VIPs' backends.
#[btf_map(name = "backends")]
pub static BACKENDS: HashMap<Slot, Backend, MAX_BACKENDS, GROWS> = HashMap::new();

/// Which of them a client has, for VIPs that need it.
#[btf_map(name = "maglev")]
pub static MAGLEV: HashMap<Slot, MaglevPage, MAX_PAGES, GROWS> = HashMap::new();

/// Where the counters of each backend of each VIP are. Written by user space only.
#[btf_map(name = "counted")]
pub static COUNTED: HashMap<Pair, Counted, MAX_COUNTERS, GROWS> = HashMap::new();

/// What is known of each backend.
#[btf_map(name = "counters")]
pub static COUNTERS: Array<Counters, MAX_COUNTERS> = Array::new();

/// What became of connections, by VIP and backend.
#[btf_map(name = "handshakes")]
pub static HANDSHAKES: Array<Handshakes, MAX_COUNTERS> = Array::new();

/// What TCP sockets were connected to, each at the place its cookie says.
#[btf_map(name = "connections")]
pub static CONNECTIONS: Array<Peer, MAX_CONNECTIONS> = Array::new();

/// What a connected socket was connected to: UDP, and TCP whose place was taken.
#[btf_map(name = "peers")]
pub static PEERS: SkStorage<Peer> = SkStorage::new();

/// Where an unconnected UDP socket sends to.
#[btf_map(name = "flows")]
pub static FLOWS: SkStorage<Flows> = SkStorage::new();

/// How packets are forwarded. Written by user space only.
#[btf_map(name = "forwarding")]
pub static FORWARDING: Array<Forwarding, 1> = Array::new();

/// Addresses that are this machine's or a VIP's. Written by user space only.
#[btf_map(name = "addresses")]
pub static ADDRESSES: HashMap<KnownAddress, Known, MAX_KNOWN, GROWS> = HashMap::new();

/// The flows that are forwarded.
#[btf_map(name = "tracked")]
pub static TRACKED: Array<Tracked, MAX_TRACKED> = Array::new();

/// Where they are in it.
#[btf_map(name = "track_index")]
pub static TRACK_INDEX: Array<Bucket, MAX_BUCKETS> = Array::new();

/// What became of packets.
#[btf_map(name = "forwarded")]
pub static FORWARDED: PerCpuArray<Forwarded, 1> = PerCpuArray::new();

/// Says which build's layout the maps have. Read and written by user space only.
#[btf_map(name = "meta")]
pub static META: Array<Meta, 1> = Array::new();
