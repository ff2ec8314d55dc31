//! Filtering system calls.

use std::io;

use crate::SetupError;
use crate::error::Step as _;
use crate::seccomp::{Filter, Instruction};

/// Has `filter` decide on every system call of this thread, and of what it becomes, from now
/// on. Without `no_new_privs` that takes `CAP_SYS_ADMIN`.
pub(super) fn install(filter: &Filter) -> Result<(), SetupError> {
    let instructions: Vec<libc::sock_filter> = filter
        .instructions()
        .map(|Instruction { code, yes, no, operand }| libc::sock_filter {
            code,
            jt: yes,
            jf: no,
            k: operand,
        })
        .collect();
    let length = u16::try_from(instructions.len())
        .map_err(|_| SetupError::new("seccomp", "a program of more than 65,535 instructions"))?;
    let program = libc::sock_fprog { len: length, filter: instructions.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the program, which lives until the call returns and is as long
    // as it says; it is not written to.
    let result = unsafe {
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        libc::syscall(libc::SYS_seccomp, mode, filter.flags, &raw const program)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()).step(|| "seccomp".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instruction(code: u32, yes: u8, no: u8, operand: u32) -> Instruction {
        Instruction { code: u16::try_from(code).unwrap(), yes, no, operand }
    }

    #[test]
    fn a_call_that_is_not_let_through_fails_as_the_program_says() {
        let number = u32::try_from(libc::SYS_getppid).unwrap();
        let program = [
            // The call's number is first in `struct seccomp_data`.
            instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
            instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO + 77),
            instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        // A filter is one thread's.
        let errno = std::thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            install(&Filter::new(0, &program)).unwrap();
            // SAFETY: takes nothing and changes nothing.
            let result = unsafe { libc::syscall(libc::SYS_getppid) };
            (result, io::Error::last_os_error().raw_os_error())
        });
        assert_eq!(errno.join().unwrap(), (-1, Some(77)));
        let error = install(&Filter::new(0, &[])).unwrap_err();
        assert_eq!(error.errno, Some(libc::EINVAL), "{error}");
    }
}
