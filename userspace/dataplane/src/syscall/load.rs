//! Programs that are loaded to find out what the kernel takes.

use std::io;

use nix::libc;

use super::made;

const BPF_PROG_LOAD: libc::c_int = 5;

/// `struct { … } /* BPF_PROG_LOAD */` of `union bpf_attr`, as far as it is needed.
#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// True if programs may use `cmpxchg`. Linux 5.12.
pub(crate) fn takes_exchange() -> io::Result<bool> {
    const SOCKET_FILTER: u32 = 1;
    let code = [
        0x0000_0000_0000_00b7, // r0 = 0
        0x0000_0000_fff8_0a7b, // *(u64 *)(r10 - 8) = r0
        0x0000_0000_0000_01b7, // r1 = 0
        0x0000_00f1_fff8_1adb, // r0 = cmpxchg_64(r10 - 8, r0, r1)
        0x0000_0000_0000_00b7, // r0 = 0
        0x0000_0000_0000_0095, // exit
    ];
    takes(SOCKET_FILTER, &code, 0)
}

/// True if XDP programs may take packets in several buffers. Linux 5.18.
pub(crate) fn takes_fragments() -> io::Result<bool> {
    const XDP: u32 = 6;
    const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
    let code = [
        0x0000_0002_0000_00b7, // r0 = XDP_PASS
        0x0000_0000_0000_0095, // exit
    ];
    takes(XDP, &code, BPF_F_XDP_HAS_FRAGS)
}

/// Whether the kernel takes a program, of which all but what is asked about is certainly right.
fn takes(prog_type: u32, code: &[u64], prog_flags: u32) -> io::Result<bool> {
    let mut attr = LoadAttr {
        prog_type,
        insn_cnt: u32::try_from(code.len()).map_err(io::Error::other)?,
        insns: code.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        prog_flags,
        ..LoadAttr::default()
    };
    match made(BPF_PROG_LOAD, &mut attr) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => Err(error),
    }
}
