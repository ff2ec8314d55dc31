//! Virtual addresses: how a task asks for one, its name, and the address it gets.
//!
//! Syntax, mangling, range and collision rule are minuteman's. One thing is better:
//! the [`Pool`] lives in the master and its assignments in the registry, so every node
//! gives the same answer, also after a collision.

mod asked;
mod label;
mod name;
mod phash2;
mod pool;
mod task;

pub use asked::{Asked, Wanted};
pub use label::{Host, Label, LabelError};
pub use name::{ZONE, named, service};
pub use pool::{Family, Pool, PoolError};
pub use task::{TaskLabel, Transport};

/// By what a VIP's backends are chosen.
pub use muster_packet::Policy;
