//! Filters at clsact, for kernels without tcx. A filter has no owner: it stays when its maker ends.

use std::{io, mem, os::unix::ffi::OsStrExt as _, path::Path};

use aya::{
    Ebpf,
    programs::{
        Program, ProgramError, TcAttachType,
        tc::{
            NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact,
        },
    },
};
use nix::libc;

use crate::{Error, front::pin::Kind};

/// By which, with the handle, a filter is known to be an agent's.
const PRIORITY: u16 = 61421;

/// A filter of an agent's.
pub(crate) struct Filter<'a> {
    /// The interface.
    pub(crate) interface: &'a str,
    /// The side of it that it is at.
    pub(crate) kind: Kind,
    /// The agent's folder of links, which no other agent has.
    pub(crate) links: &'a Path,
}

/// The clsact qdisc, if it is not there yet.
pub(crate) fn prepare(interface: &str) -> Result<(), Error> {
    let added = qdisc_add_clsact(interface).map_err(ProgramError::from);
    match added {
        Err(error) if errno(&error) != Some(libc::EEXIST) => {
            Err(failed(interface, "tc qdisc add clsact")(error))
        }
        _ => Ok(()),
    }
}

/// Attaches a program, in the place of the one before: there is no moment without.
pub(crate) fn attach(
    filter: &Filter<'_>,
    program: &'static str,
    object: &mut Ebpf,
) -> Result<(), Error> {
    let &Filter { interface, kind, .. } = filter;
    let Some(Program::SchedClassifier(classifier)) = object.program_mut(program) else {
        return Err(Error::Missing { name: program });
    };
    let fail = failed(interface, "tc filter add");
    let replaced = match ours(filter) {
        Ok(former) => classifier.attach_to_link(former),
        Err(error) => return Err(fail(ProgramError::IOError(error))),
    };
    let id = match replaced {
        // It was not there.
        Err(error) if errno(&error) == Some(libc::ENOENT) => {
            let options = NlOptions { priority: PRIORITY, handle: handle(filter), classid: None };
            classifier.attach_with_options(interface, side(kind), TcAttachOptions::Netlink(options))
        }
        other => other,
    };
    let link = id.and_then(|id| classifier.take_link(id)).map_err(fail)?;
    // It would be detached when dropped.
    mem::forget(link);
    Ok(())
}

/// Detaches a filter. One that is not there, or whose interface is not, is no error.
pub(crate) fn detach(filter: &Filter<'_>) -> Result<(), Error> {
    use aya::programs::links::Link as _;
    let Ok(link) = ours(filter) else { return Ok(()) };
    match link.detach() {
        Err(error)
            if !matches!(errno(&error), Some(libc::ENOENT | libc::ENODEV | libc::EINVAL)) =>
        {
            Err(failed(filter.interface, "tc filter del")(error))
        }
        _ => Ok(()),
    }
}

fn ours(filter: &Filter<'_>) -> io::Result<SchedClassifierLink> {
    let side = side(filter.kind);
    SchedClassifierLink::attached(filter.interface, side, PRIORITY, handle(filter), None)
}

/// Another one for each agent: several may be at one interface.
fn handle(filter: &Filter<'_>) -> TcHandle {
    // FNV-1a: the same whatever build the agent is of.
    let bytes = filter.links.as_os_str().as_bytes();
    let hash = bytes
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    let [first, second, third, fourth] = hash.to_le_bytes();
    TcHandle::new(u16::from_le_bytes([first, second]), u16::from_le_bytes([third, fourth]) | 1)
}

fn side(kind: Kind) -> TcAttachType {
    if kind == Kind::FilterIngress { TcAttachType::Ingress } else { TcAttachType::Egress }
}

fn failed(interface: &str, call: &'static str) -> impl FnOnce(ProgramError) -> Error {
    let interface = interface.to_owned();
    move |source| Error::Attach { interface, call, source: io::Error::other(source) }
}

/// The number that the kernel gave as its reason.
fn errno(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::TcError(TcError::NetlinkError(error)) => error.raw_os_error(),
        ProgramError::TcError(TcError::IoError(error)) | ProgramError::IOError(error) => {
            error.raw_os_error()
        }
        _ => None,
    }
}
