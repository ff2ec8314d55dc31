//! The few commands of bpf(2) that aya does not have, and membarrier(2).
//!
//! aya 0.14 cannot replace the program behind a cgroup link (it can for XDP and TCX), does
//! not show which cgroup a link belongs to, and reads maps entry by entry. All unsafe code
//! of the crate is here.

pub(crate) mod cgroup;
pub(crate) mod load;
pub(crate) mod net;

use std::{
    ffi::CString,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use aya::Pod;
use nix::libc;

const BPF_OBJ_PIN: libc::c_int = 6;
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_PROG_GET_FD_BY_ID: libc::c_int = 13;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_MAP_LOOKUP_BATCH: libc::c_int = 24;
const BPF_MAP_UPDATE_BATCH: libc::c_int = 26;
const BPF_MAP_DELETE_BATCH: libc::c_int = 27;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_LINK_UPDATE: libc::c_int = 29;
const BPF_LINK_DETACH: libc::c_int = 34;

/// `BPF_LINK_TYPE_CGROUP`.
const CGROUP: u32 = 3;

/// What a link joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CgroupLink {
    /// Inode number of the cgroup's directory; 0 if that cgroup is gone.
    pub(crate) cgroup: u64,
    /// The program's number.
    pub(crate) program: u32,
    /// `enum bpf_attach_type`.
    pub(crate) attach_type: u32,
}

/// `struct { … } /* BPF_OBJ_* */` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct ObjectAttr {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// `info` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct InfoAttr {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// `struct bpf_link_info`, whose union has room for those of cgroups and of interfaces.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    prog_id: u32,
    _pad: u32,
    /// The `cgroup_id` of a cgroup; its first half the `ifindex` of an interface.
    target: u64,
    attach_type: u32,
    _end: u32,
}

/// `struct { … } /* BPF_*_GET_FD_BY_ID */` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct IdAttr {
    number: u32,
    next: u32,
    open_flags: u32,
}

/// `link_create` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct LinkCreateAttr {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
}

/// `link_update` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct LinkUpdateAttr {
    link_fd: u32,
    new_prog_fd: u32,
    flags: u32,
    old_prog_fd: u32,
}

/// `link_detach` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct LinkDetachAttr {
    link_fd: u32,
}

/// `batch` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

fn bpf<T>(command: libc::c_int, attr: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: `attr` is the prefix of `union bpf_attr` that the command reads (the kernel
    // takes the rest as zero), and every address in it is that of a live buffer of the
    // size the command expects: see the callers.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    // A descriptor that is open is not negative.
    fd.as_raw_fd().cast_unsigned()
}

/// Opens what is pinned at a path.
pub(crate) fn open_pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = ObjectAttr { pathname: path.as_ptr() as u64, ..ObjectAttr::default() };
    made(BPF_OBJ_GET, &mut attr)
}

/// The descriptor that a command makes.
fn made<T>(command: libc::c_int, attr: &mut T) -> io::Result<OwnedFd> {
    let fd = i32::try_from(bpf(command, attr)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn link_info(link: impl AsFd) -> io::Result<LinkInfo> {
    let mut info = LinkInfo::default();
    let mut attr = InfoAttr {
        bpf_fd: raw(link.as_fd()),
        info_len: u32::try_from(size_of::<LinkInfo>()).map_err(io::Error::other)?,
        info: &raw mut info as u64,
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(info)
}

/// What a cgroup link is attached to; `None` for a link of another kind. Linux 5.8.
pub(crate) fn cgroup_link(link: impl AsFd) -> io::Result<Option<CgroupLink>> {
    let info = link_info(link)?;
    let LinkInfo { target, prog_id, attach_type, .. } = info;
    let link = CgroupLink { cgroup: target, program: prog_id, attach_type };
    Ok((info.kind == CGROUP).then_some(link))
}

/// Opens the program of a number. Linux 4.13.
pub(crate) fn open_program(number: u32) -> io::Result<OwnedFd> {
    made(BPF_PROG_GET_FD_BY_ID, &mut IdAttr { number, ..IdAttr::default() })
}

/// Attaches a program to a cgroup. Linux 5.7.
pub(crate) fn link_cgroup(
    program: impl AsFd,
    cgroup: impl AsFd,
    attach_type: u32,
) -> io::Result<OwnedFd> {
    let (prog_fd, target_fd) = (raw(program.as_fd()), raw(cgroup.as_fd()));
    made(BPF_LINK_CREATE, &mut LinkCreateAttr { prog_fd, target_fd, attach_type, flags: 0 })
}

/// Pins what is open at a path of bpffs.
pub(crate) fn pin(object: impl AsFd, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let bpf_fd = raw(object.as_fd());
    let mut attr = ObjectAttr { pathname: path.as_ptr() as u64, bpf_fd, file_flags: 0 };
    bpf(BPF_OBJ_PIN, &mut attr).map(drop)
}

/// Replaces the program behind a link: from one connection to the next, with no moment in
/// between. Linux 5.7.
pub(crate) fn update_link(link: impl AsFd, program: impl AsFd) -> io::Result<()> {
    let mut attr = LinkUpdateAttr {
        link_fd: raw(link.as_fd()),
        new_prog_fd: raw(program.as_fd()),
        ..LinkUpdateAttr::default()
    };
    bpf(BPF_LINK_UPDATE, &mut attr).map(drop)
}

/// Detaches a link at once; merely unpinning it does so a little later. Linux 5.9.
pub(crate) fn detach_link(link: impl AsFd) -> io::Result<()> {
    let mut attr = LinkDetachAttr { link_fd: raw(link.as_fd()) };
    bpf(BPF_LINK_DETACH, &mut attr).map(drop)
}

/// Reads the entries of a hash map or an array. Linux 5.6. Ends early when there are at least
/// `enough`; an array's are in order.
///
/// Entries that are added or removed meanwhile may be in the result or not; entries that
/// are there all the time are, once.
pub(crate) fn entries<K: Pod, V: Pod>(map: impl AsFd, enough: usize) -> io::Result<Vec<(K, V)>> {
    let mut all = Vec::new();
    let mut room: usize = 4096;
    // The position is opaque: for hash maps a bucket number, for arrays an index.
    let (mut position, mut started) = (0u64, false);
    loop {
        let mut next = 0u64;
        let mut keys = Vec::<MaybeUninit<K>>::with_capacity(room);
        let mut values = Vec::<MaybeUninit<V>>::with_capacity(room);
        let mut attr = BatchAttr {
            in_batch: if started { &raw const position as u64 } else { 0 },
            out_batch: &raw mut next as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: u32::try_from(room).map_err(io::Error::other)?,
            map_fd: raw(map.as_fd()),
            ..BatchAttr::default()
        };
        let result = bpf(BPF_MAP_LOOKUP_BATCH, &mut attr);
        let last = match result {
            Ok(_) => false,
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT) => true,
                // One bucket holds more than there is room for.
                Some(libc::ENOSPC) if attr.count == 0 => {
                    room *= 2;
                    continue;
                }
                Some(libc::ENOSPC) => false,
                _ => return Err(error),
            },
        };
        let count = attr.count as usize;
        // SAFETY: the kernel has filled `count` keys and as many values, `count` being at
        // most the room it was told of, and any bytes are a `K` and a `V`: they are Pod.
        unsafe {
            keys.set_len(count);
            values.set_len(count);
            all.extend(
                keys.into_iter().zip(values).map(|(k, v)| (k.assume_init(), v.assume_init())),
            );
        }
        if last || all.len() >= enough {
            return Ok(all);
        }
        (position, started) = (next, true);
    }
}

/// Sets entries of a hash map or an array, one after the other, each at once for who reads it. Says how
/// many are set; with an error, the next one is why. Linux 5.6.
pub(crate) fn update<K: Pod, V: Pod>(
    map: impl AsFd,
    keys: &[K],
    values: &[V],
) -> (usize, io::Result<()>) {
    let count = keys.len().min(values.len());
    if count == 0 {
        return (0, Ok(()));
    }
    let mut attr = match batch(map, count) {
        Ok(attr) => attr,
        Err(error) => return (0, Err(error)),
    };
    (attr.keys, attr.values) = (keys.as_ptr() as u64, values.as_ptr() as u64);
    let result = bpf(BPF_MAP_UPDATE_BATCH, &mut attr).map(drop);
    done(&attr, count, result)
}

/// Deletes entries of a hash map. Says how many are deleted; with an error, the next one is why. Linux 5.6.
pub(crate) fn delete<K: Pod>(map: impl AsFd, keys: &[K]) -> (usize, io::Result<()>) {
    if keys.is_empty() {
        return (0, Ok(()));
    }
    let mut attr = match batch(map, keys.len()) {
        Ok(attr) => attr,
        Err(error) => return (0, Err(error)),
    };
    attr.keys = keys.as_ptr() as u64;
    let result = bpf(BPF_MAP_DELETE_BATCH, &mut attr).map(drop);
    done(&attr, keys.len(), result)
}

fn batch(map: impl AsFd, count: usize) -> io::Result<BatchAttr> {
    let count = u32::try_from(count).map_err(io::Error::other)?;
    Ok(BatchAttr { count, map_fd: raw(map.as_fd()), ..BatchAttr::default() })
}

/// What a command over `count` entries has reached.
fn done(attr: &BatchAttr, count: usize, result: io::Result<()>) -> (usize, io::Result<()>) {
    match &result {
        Ok(()) => (count, result),
        // Refused before it looked at any entry, it leaves the number as it was.
        Err(_) if attr.count as usize >= count => (0, result),
        Err(_) => (attr.count as usize, result),
    }
}

/// Returns when every program that was running in the kernel has ended: what such a program
/// may have read of a map before is then in nobody's hands.
///
/// membarrier's global command waits for a grace period of RCU, which programs run under.
/// Linux 4.3. Fails where processors run without a timer tick (`nohz_full`).
pub(crate) fn wait_for_programs() -> io::Result<()> {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
