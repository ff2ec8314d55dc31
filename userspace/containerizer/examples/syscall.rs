//! Makes one system call and prints its error number, 0 if there is none: what a container
//! lets through. `syscall NUMBER [ARGUMENT...]`, in decimal.

use std::process::ExitCode;

fn main() -> ExitCode {
    let numbers: Result<Vec<i64>, _> = std::env::args().skip(1).map(|text| text.parse()).collect();
    let Ok([number, arguments @ ..]) = numbers.as_deref() else {
        eprintln!("syscall NUMBER [ARGUMENT...]");
        return ExitCode::FAILURE;
    };
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: no argument is a pointer to anything of this process', so that the call cannot
    // change its memory.
    let result = unsafe {
        libc::syscall(*number, argument(0), argument(1), argument(2), argument(3), argument(4))
    };
    let errno = if result < 0 { std::io::Error::last_os_error().raw_os_error() } else { Some(0) };
    println!("{}", errno.unwrap_or(-1));
    ExitCode::SUCCESS
}
