//! Putting a program on a v2 cgroup.

use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;

use super::program::Instruction;
use crate::Error;
use crate::error::At as _;

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
/// Programs of groups above and below, and others on this one, all have a say.
const ALLOW_MULTI: u32 = 2;
/// Room for what the kernel's verifier says of a program that it refuses.
const LOG: usize = 64 << 10;

/// What `bpf(BPF_PROG_LOAD)` takes, as far as it is used here (`union bpf_attr`).
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// What `bpf(BPF_PROG_ATTACH)` takes.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    point: u32,
    flags: u32,
}

/// Has `program` decide on devices for all that is in the group `directory`, as long as there
/// is that group.
pub(super) fn restrict(directory: &Path, program: &[Instruction]) -> Result<(), Error> {
    let group = File::open(directory).at("open", directory)?;
    let program = load(program).at("bpf(BPF_PROG_LOAD) for", directory)?;
    let descriptor = |descriptor: RawFd| descriptor.cast_unsigned();
    let attach = Attach {
        target: descriptor(group.as_raw_fd()),
        program: descriptor(program.as_raw_fd()),
        point: CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: the structure lives until the call returns, and the size is its own; the kernel
    // reads it. Both descriptors are open.
    let attached = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw const attach, size_of::<Attach>())
    };
    if attached != 0 {
        return Err(io::Error::last_os_error()).at("bpf(BPF_PROG_ATTACH) to", directory);
    }
    Ok(())
}

/// Loads `program`. If the kernel refuses it, it is asked again, for its reasons.
fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let error = match try_load(program, &mut []) {
        Ok(loaded) => return Ok(loaded),
        Err(error) => error,
    };
    let mut log = vec![0; LOG];
    if let Ok(loaded) = try_load(program, &mut log) {
        return Ok(loaded);
    }
    let length = log.iter().position(|byte| *byte == 0).unwrap_or(LOG);
    match String::from_utf8_lossy(&log[..length]).trim().lines().next_back() {
        Some(last) => Err(io::Error::new(error.kind(), format!("{error}: {last}"))),
        None => Err(error),
    }
}

fn try_load(program: &[Instruction], log: &mut [u8]) -> io::Result<OwnedFd> {
    let load = Load {
        program_type: TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: u32::try_from(log.len()).map_err(io::Error::other)?,
        log: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        kernel_version: 0,
        flags: 0,
        name: *b"muster_devices\0\0",
    };
    // SAFETY: the structure, and what it points to with the lengths that it gives, live until
    // the call returns; of these the kernel writes only into the log.
    let loaded =
        unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const load, size_of::<Load>()) };
    if loaded < 0 {
        return Err(io::Error::last_os_error());
    }
    let descriptor = RawFd::try_from(loaded).map_err(io::Error::other)?;
    // SAFETY: the kernel has just given this descriptor, which nobody else knows of.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_none_is_refused_with_the_reason() {
        if !rustix::process::getuid().is_root() {
            return;
        }
        // It does not end.
        let program = &super::super::program::deciding(&[])[..1];
        let error = load(program).unwrap_err().to_string();
        assert!(error.starts_with("Invalid argument (os error 22): "), "{error}");
    }

    #[test]
    fn structures_are_as_large_as_the_kernels() {
        assert_eq!(size_of::<Load>(), 64);
        assert_eq!(std::mem::offset_of!(Load, name), 48);
        assert_eq!(size_of::<Attach>(), 16);
        assert_eq!(size_of::<Instruction>(), 8);
    }
}
