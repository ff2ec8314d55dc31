//! What a command may do.

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use super::identity::Identity;
use super::plan::Process;
use super::seccomp;
use crate::SetupError;
use crate::error::Step as _;

/// Becomes `identity`, with no more than the capabilities of `process` now and after any
/// exec. But for what a task named for a user other than root, the inheritable set is empty,
/// as in Docker since 20.10.14: with it, an unprivileged user of the container could gain what
/// a file's capabilities allow.
pub(super) fn restrict(process: &Process, identity: &Identity) -> Result<(), SetupError> {
    let ambient =
        process.capabilities.is_some_and(|capabilities| capabilities.ambient) && identity.uid != 0;
    if let Some(capabilities) = &process.capabilities {
        bound(capabilities.bounding)?;
    }
    if let Some(guard) = &process.guard {
        seccomp::install(guard)?;
    }
    if let Some(filter) = &process.seccomp
        && !process.no_new_privs
    {
        // Later it may not be allowed to. What follows has to pass the filter, as in Docker.
        seccomp::install(filter)?;
    }
    clear_ambient_capability_set().step(|| "clear ambient capabilities".into())?;
    let group = |id: &u32| Gid::from_raw(*id);
    let groups: Vec<Gid> = identity.groups.iter().map(group).collect();
    set_thread_groups(&groups).step(|| "setgroups".into())?;
    let gid = group(&identity.gid);
    set_thread_res_gid(gid, gid, gid).step(|| format!("setresgid {}", identity.gid))?;
    if ambient {
        // Else the change of user takes them. Exec ends this.
        set_keep_capabilities(true).step(|| "keep capabilities".into())?;
    }
    let uid = Uid::from_raw(identity.uid);
    set_thread_res_uid(uid, uid, uid).step(|| format!("setresuid {}", identity.uid))?;
    if let Some(wanted) = &process.capabilities {
        keep(CapabilitySet::from_bits_retain(wanted.effective.bits()), ambient)?;
    }
    if process.no_new_privs {
        set_no_new_privs(true).step(|| "set no_new_privs".into())?;
    }
    Ok(())
}

/// Keeps those of `wanted` that there are; over exec, for another user, if `ambient`.
fn keep(wanted: CapabilitySet, ambient: bool) -> Result<(), SetupError> {
    // Another user than root has lost them all by now, unless they were to be kept.
    let now = capabilities(None).step(|| "capget".into())?;
    let kept = now.permitted & wanted;
    let inheritable = if ambient { kept } else { CapabilitySet::empty() };
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable };
    set_capabilities(None, sets).step(|| "capset".into())?;
    for capability in kept.iter().filter(|_| ambient) {
        configure_capability_in_ambient_set(capability, true)
            .step(|| format!("give the user {capability:?}"))?;
    }
    Ok(())
}

/// Drops what is not in `bounding` from the bounding set.
fn bound(bounding: crate::CapabilitySet) -> Result<(), SetupError> {
    for bit in 0..64 {
        if bounding.bits() & 1 << bit != 0 {
            continue;
        }
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)) {
            // The kernel's last one was the one before.
            Err(Errno::INVAL) => break,
            removed => removed.step(|| format!("drop capability {bit}"))?,
        }
    }
    Ok(())
}
