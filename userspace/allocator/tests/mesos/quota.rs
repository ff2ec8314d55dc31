//! What roles are promised, and what they may have at most.

mod accounting;
mod chopping;
mod guarantees;
mod headroom;
mod nested;
