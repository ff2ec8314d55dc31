//! The master with its sockets and a store on disk: a linked agent, a framework, operators.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod life;
mod maintenance;
mod operator;
mod quota;
mod reads;
mod rig;
mod weights;
mod whitelist;
