//! The processor that is measured on.

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use crate::Failure;

/// Keeps this process on the last processor of those that it may run on: the first has most of the interrupts.
pub(crate) fn stay_on_one() -> Result<(), Failure> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let is_allowed = |cpu: &usize| allowed.is_set(*cpu).unwrap_or(false);
    let last = (0..CpuSet::count()).rev().find(is_allowed).ok_or("no processor")?;
    let mut only = CpuSet::new();
    only.set(last)?;
    sched_setaffinity(Pid::from_raw(0), &only)?;
    Ok(())
}
