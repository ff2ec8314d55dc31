//! Containers on the real kernel. Needs root, cgroups with cpu and memory, and
//! busybox-static; btrfs-progs; docker-registry, skopeo, umoci and openssl for what is pulled.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod archives;
mod attached;
mod backends;
mod collections;
mod commands;
mod disks;
mod escapes;
mod externals;
mod fetches;
mod gpus;
mod image;
mod images;
mod life;
mod limits;
mod logs;
mod namespaces;
mod nested;
mod operated;
mod patience;
mod places;
mod platforms;
mod processes;
mod pulls;
mod recovery;
mod registry;
mod seccomp;
mod stepping;
mod surroundings;
mod tokens;
mod trees;
mod users;
mod volumes;
mod world;
