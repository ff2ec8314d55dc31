//! Links of network interfaces, which aya makes in ways of its own: if the kernel refuses one,
//! it attaches without, and that would end with the process.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use nix::{
    libc,
    sys::socket::{AddressFamily, SockFlag, SockType, socket},
};

use tokio::io::unix::AsyncFd;

use super::{ObjectAttr, bpf, link_info, made, raw};

const BPF_OBJ_PIN: libc::c_int = 6;
const BPF_LINK_CREATE: libc::c_int = 28;

/// Where at an interface a program is attached: `enum bpf_attach_type` and flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// XDP in the driver. Linux 5.9.
    Xdp,
    /// XDP in the kernel, after the driver has made a socket buffer. Linux 5.9.
    Generic,
    /// tcx, for what arrives. Linux 6.6.
    Ingress,
    /// tcx, for what leaves. Linux 6.6.
    Egress,
}

/// `link_create` of `union bpf_attr`, as far as interfaces need it.
#[repr(C)]
#[derive(Default)]
struct LinkCreateAttr {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
    relative: u32,
    _pad: u32,
    expected_revision: u64,
}

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    cmd: u32,
    driver: [u8; 32],
    _rest: [u8; 160],
}

/// `struct ifreq` with `ifr_data`.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    data: *mut DriverInfo,
    _rest: [u64; 2],
}

/// Attaches a program to an interface. It is detached again when the link is closed, unless it
/// is pinned.
pub(crate) fn create_link(program: impl AsFd, interface: u32, at: Point) -> io::Result<OwnedFd> {
    const BPF_XDP: u32 = 37;
    const BPF_TCX_INGRESS: u32 = 46;
    const BPF_TCX_EGRESS: u32 = 47;
    const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
    const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
    let (attach_type, flags) = match at {
        Point::Xdp => (BPF_XDP, XDP_FLAGS_DRV_MODE),
        Point::Generic => (BPF_XDP, XDP_FLAGS_SKB_MODE),
        Point::Ingress => (BPF_TCX_INGRESS, 0),
        Point::Egress => (BPF_TCX_EGRESS, 0),
    };
    let mut attr = LinkCreateAttr {
        prog_fd: raw(program.as_fd()),
        target_ifindex: interface,
        attach_type,
        flags,
        ..LinkCreateAttr::default()
    };
    made(BPF_LINK_CREATE, &mut attr)
}

/// Which interface a link is attached to: its index, 0 if it is gone. Linux 5.9.
pub(crate) fn interface_of(link: impl AsFd) -> io::Result<u32> {
    let [a, b, c, d, ..] = link_info(link)?.target.to_ne_bytes();
    Ok(u32::from_ne_bytes([a, b, c, d]))
}

/// Pins a program or a link.
pub(crate) fn pin(object: impl AsFd, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = ObjectAttr {
        pathname: path.as_ptr() as u64,
        bpf_fd: raw(object.as_fd()),
        ..ObjectAttr::default()
    };
    bpf(BPF_OBJ_PIN, &mut attr).map(drop)
}

/// The name of an interface's driver: `veth`, `virtio_net`.
pub(crate) fn driver(interface: &str) -> io::Result<String> {
    const SIOCETHTOOL: libc::c_ulong = 0x8946;
    const ETHTOOL_GDRVINFO: u32 = 3;
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    let mut info = DriverInfo { cmd: ETHTOOL_GDRVINFO, driver: [0; 32], _rest: [0; 160] };
    let mut request = Request { name: [0; libc::IFNAMSIZ], data: &raw mut info, _rest: [0; 2] };
    // The last byte stays zero.
    let room = request.name.iter_mut().take(libc::IFNAMSIZ - 1);
    for (to, from) in room.zip(interface.bytes()) {
        *to = from;
    }
    // SAFETY: the request has the size of `struct ifreq`, and its data that of
    // `struct ethtool_drvinfo`, which the command fills; both live until it returns.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let name = info.driver.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// Has tokio's runtime wait for a descriptor.
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open for as long as it lives, and always has the same number.
    unsafe { AsyncFd::register(descriptor) }.map_err(|error| error.into_parts().1)
}
