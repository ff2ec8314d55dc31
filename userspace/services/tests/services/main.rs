//! The services framework, driven from both of its sides: as the master does, and as its
//! users do.

mod backoff;
mod definitions;
mod deployments;
mod health;
mod http;
mod offers;
mod queue;
mod restart;
mod shell;
mod simulation;
mod tasks;
mod unreachable;
mod updates;
mod world;
