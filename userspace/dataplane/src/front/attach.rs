//! Attaching to one interface.

use std::{
    fs, io,
    os::fd::{AsFd as _, BorrowedFd},
    path::{Path, PathBuf},
};

use aya::Ebpf;
use nix::libc;
use tracing::{debug, info, warn};

use crate::{
    Error,
    front::{
        EGRESS, INGRESS, Interface, Means, XDP,
        filter::{self, Filter},
        pin::Kind,
    },
    pins,
    syscall::{
        self,
        net::{self, Point},
    },
};

/// An interface as it is now.
struct Place<'a> {
    name: &'a str,
    index: u32,
    links: &'a Path,
}

/// Why there is no XDP on older kernels.
const NO_FRAGMENTS: &str = "the kernel lacks XDP in several buffers (Linux 5.18)";

/// What became of a program that was to be attached.
enum Attached {
    /// A link that was there runs the new program.
    Replaced(PathBuf),
    /// There is a new link.
    New(PathBuf),
    /// The kernel or the driver does not do this.
    Unable(io::Error),
}

/// Attaches all programs of an interface, replacing those that are there in place: but that for XDP if the kernel does
/// not take it. The pins of what is attached.
pub(crate) fn attach(
    interface: &Interface,
    index: u32,
    object: &mut Ebpf,
    takes_xdp: bool,
    links: &Path,
) -> Result<Vec<PathBuf>, Error> {
    let place = Place { name: &interface.name, index, links };
    let mut is_new = false;
    let mut pins = Vec::new();
    let mut keep = |attached, reason: &mut Option<io::Error>| match attached {
        Attached::Replaced(pin) => pins.push(pin),
        Attached::New(pin) => {
            is_new = true;
            pins.push(pin);
        }
        Attached::Unable(error) => *reason = Some(error),
    };

    // Answers first: a request that is let in has a way out.
    let mut no_tcx = None;
    if interface.means == Means::Clsact {
        no_tcx = Some(io::Error::other("asked for"));
    } else {
        keep(place.link(Kind::Egress, Point::Egress, fd(object, EGRESS)?)?, &mut no_tcx);
        if no_tcx.is_none() {
            keep(place.link(Kind::Ingress, Point::Ingress, fd(object, INGRESS)?)?, &mut no_tcx);
        }
    }
    if no_tcx.is_some() {
        filter::prepare(&interface.name)?;
        for (kind, program) in [(Kind::FilterEgress, EGRESS), (Kind::FilterIngress, INGRESS)] {
            keep(place.filter(kind, program, object)?, &mut no_tcx);
        }
    }

    let mut no_xdp = None;
    let unfit = if takes_xdp { unfit(&interface.name) } else { Some(NO_FRAGMENTS) };
    match (interface.means, unfit) {
        (Means::Tc | Means::Clsact, _) => no_xdp = Some(io::Error::other("asked for")),
        (Means::Best, Some(reason)) => no_xdp = Some(io::Error::other(reason)),
        (Means::Generic, _) => {
            place.give_up(Kind::Xdp)?;
            keep(place.link(Kind::Generic, Point::Generic, fd(object, XDP)?)?, &mut no_xdp);
        }
        (Means::Native | Means::Best, _) => {
            place.give_up(Kind::Generic)?;
            keep(place.link(Kind::Xdp, Point::Xdp, fd(object, XDP)?)?, &mut no_xdp);
        }
    }
    if let (Means::Native | Means::Generic, Some(source)) = (interface.means, no_xdp.as_ref()) {
        // The kind stays: errors cannot be had twice.
        let source = io::Error::new(source.kind(), source.to_string());
        return Err(Error::Attach {
            interface: interface.name.clone(),
            call: "BPF_LINK_CREATE (XDP)",
            source,
        });
    }
    if is_new {
        let tc = if no_tcx.is_some() { "clsact" } else { "tcx" };
        let xdp = match interface.means {
            _ if no_xdp.is_some() => "no",
            Means::Generic => "generic",
            _ => "native",
        };
        let text = |reason: Option<io::Error>| reason.map(|error| error.to_string());
        let (no_xdp, no_tcx) = (text(no_xdp), text(no_tcx));
        info!(interface = interface.name, xdp, no_xdp, tc, no_tcx, "forwards packets to VIPs");
    }
    Ok(pins)
}

/// True if what is pinned is attached to the interface.
pub(super) fn holds(pin: &Path, index: u32) -> bool {
    match Kind::of(pin) {
        // A filter goes with its interface.
        Some((Kind::FilterIngress | Kind::FilterEgress, _)) => pin.exists(),
        _ => syscall::open_pinned(pin)
            .and_then(net::interface_of)
            .is_ok_and(|attached| attached == index),
    }
}

/// Why native XDP is not taken of itself for an interface though its driver has it.
fn unfit(interface: &str) -> Option<&'static str> {
    match net::driver(interface) {
        Ok(driver) => emulated(&driver),
        Err(error) => {
            // Then it has none that has XDP either.
            warn!(interface, %error, "SIOCETHTOOL: the interface's driver is not known");
            None
        }
    }
}

/// Why XDP in this driver has no use: it stands for no hardware, and its packets have been through the kernel already.
fn emulated(driver: &str) -> Option<&'static str> {
    match driver {
        "veth" => Some(
            "the driver is veth, which copies each packet of a socket for XDP, and may have it without the checksum, \
             which XDP is not told",
        ),
        "tun" => Some(
            "the driver is tun, whose other side may leave out checksums, which XDP is not told",
        ),
        _ => None,
    }
}

fn fd<'a>(object: &'a Ebpf, name: &'static str) -> Result<BorrowedFd<'a>, Error> {
    let program = object.program(name).ok_or(Error::Missing { name })?;
    let fd = program.fd().map_err(|source| Error::Program {
        program: name,
        step: "load",
        source: Box::new(source),
    })?;
    Ok(fd.as_fd())
}

/// Detaches and unpins a link; one that is not there need not be.
fn detach(path: &Path) -> Result<(), Error> {
    if let Ok(link) = syscall::open_pinned(path)
        && let Err(error) = syscall::detach_link(&link)
    {
        debug!(path = %path.display(), %error, "link is detached already");
    }
    pins::unlink(path)
}

// === impl Place ===

impl Place<'_> {
    /// Makes the link of a kind run the program.
    fn link(&self, kind: Kind, at: Point, program: BorrowedFd<'_>) -> Result<Attached, Error> {
        let path = self.links.join(kind.pin(self.name));
        let former = match syscall::open_pinned(&path) {
            Ok(link) => Some(link),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::file("BPF_OBJ_GET", path)(error)),
        };
        if let Some(link) = former {
            let index = net::interface_of(&link);
            if index.map_err(Error::file("BPF_OBJ_GET_INFO_BY_FD", &path))? == self.index {
                syscall::update_link(&link, program)
                    .map_err(Error::file("BPF_LINK_UPDATE", &path))?;
                return Ok(Attached::Replaced(path));
            }
            // What is left of a link to an interface that is gone.
            pins::unlink(&path)?;
        }
        let next = pins::next(&path);
        // Of an agent that was killed before it was in its place: there can be only one at XDP.
        detach(&next)?;
        let link = match net::create_link(program, self.index, at) {
            Ok(link) => link,
            Err(error) => return self.refused(at, error),
        };
        net::pin(&link, &next).map_err(Error::file("BPF_OBJ_PIN", &next))?;
        fs::rename(&next, &path).map_err(Error::file("rename", &path))?;
        Ok(Attached::New(path))
    }

    /// Detaches a link of a kind: an interface has XDP in the driver or in the kernel. Meanwhile packets are
    /// met at tc.
    fn give_up(&self, kind: Kind) -> Result<(), Error> {
        detach(&self.links.join(kind.pin(self.name)))
    }

    fn refused(&self, at: Point, error: io::Error) -> Result<Attached, Error> {
        let is_xdp = matches!(at, Point::Xdp | Point::Generic);
        let number = error.raw_os_error();
        match number {
            // Without a link, and with one.
            Some(libc::EBUSY | libc::EEXIST) if is_xdp => {
                Err(Error::Occupied { interface: self.name.to_owned() })
            }
            Some(libc::EPERM | libc::ENOMEM | libc::ENODEV) => Err(Error::Attach {
                interface: self.name.to_owned(),
                call: "BPF_LINK_CREATE",
                source: error,
            }),
            _ => Ok(Attached::Unable(error)),
        }
    }

    /// Makes the filter of a kind run the program.
    fn filter(
        &self,
        kind: Kind,
        program: &'static str,
        object: &mut Ebpf,
    ) -> Result<Attached, Error> {
        let path = self.links.join(kind.pin(self.name));
        let was_there = path.exists();
        let next = pins::next(&path);
        pins::unlink(&next)?;
        net::pin(fd(object, program)?, &next).map_err(Error::file("BPF_OBJ_PIN", &next))?;
        fs::rename(&next, &path).map_err(Error::file("rename", &path))?;
        let filter = Filter { interface: self.name, kind, links: self.links };
        filter::attach(&filter, program, object)?;
        Ok(if was_there { Attached::Replaced(path) } else { Attached::New(path) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_software_are_told_from_cards_by_their_drivers() {
        for driver in ["veth", "tun"] {
            assert!(emulated(driver).unwrap().contains(driver));
        }
        for driver in ["virtio_net", "mlx5_core", "bonding", "bridge", ""] {
            assert_eq!(emulated(driver), None);
        }
    }
}
