//! What root may do in a container.

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use super::identity::Identity;
use crate::SetupError;
use crate::error::Step as _;

/// Docker's default set.
const DEFAULT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::AUDIT_WRITE);

/// Becomes `identity`, with no more than Docker's default capabilities now and after any
/// exec. The inheritable set is empty, as in Docker since 20.10.14: with it, an
/// unprivileged user of the container could gain what a file's capabilities allow.
pub(super) fn restrict(identity: &Identity) -> Result<(), SetupError> {
    for bit in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if DEFAULT.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            // The kernel's last one was the one before.
            Err(Errno::INVAL) => break,
            removed => removed.step(|| format!("drop capability {bit}"))?,
        }
    }
    clear_ambient_capability_set().step(|| "clear ambient capabilities".into())?;
    let group = |id: &u32| Gid::from_raw(*id);
    let groups: Vec<Gid> = identity.groups.iter().map(group).collect();
    set_thread_groups(&groups).step(|| "setgroups".into())?;
    let gid = group(&identity.gid);
    set_thread_res_gid(gid, gid, gid).step(|| format!("setresgid {}", identity.gid))?;
    let uid = Uid::from_raw(identity.uid);
    set_thread_res_uid(uid, uid, uid).step(|| format!("setresuid {}", identity.uid))?;
    // Another user than root has lost them all by now.
    let now = capabilities(None).step(|| "capget".into())?;
    let kept = now.permitted & DEFAULT;
    set_capabilities(
        None,
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() },
    )
    .step(|| "capset".into())?;
    set_no_new_privs(true).step(|| "set no_new_privs".into())
}
