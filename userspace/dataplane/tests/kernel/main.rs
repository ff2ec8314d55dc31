//! The data plane in a real kernel: every test has a cgroup, a folder in bpffs and a network
//! namespace of its own, and leaves nothing behind. They need root.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is all test code, also what is outside of test functions"
)]

mod adoption;
mod also;
mod backends;
mod bpftool;
mod breaker;
mod bridged;
mod budget;
mod connections;
mod ends;
mod features;
mod flows;
mod forward;
mod forwarded;
mod front;
mod full;
mod hosts;
mod http;
mod ipv6;
mod kept;
mod kills;
mod machine;
mod maglev;
mod maps;
mod nfqueue;
mod pairs;
mod policy;
mod process;
mod routers;
mod server;
mod slow;
mod stack;
mod stale;
mod switching;
mod tcp;
mod told;
mod udp;
mod view;
