//! Which of the offers an application's instances go to.

mod constraints;
mod placement;
mod reason;

pub use constraints::allows;
pub use placement::{Candidate, Placed, place};
pub use reason::Reason;
