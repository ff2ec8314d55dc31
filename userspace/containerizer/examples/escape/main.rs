//! Tries to get out of a container, in the way that its argument names, and prints the error
//! number that the kernel answers with, 0 if there is none: `escape NAME [ARGUMENT...]`. What it
//! reaches, if anything, follows on the line.

mod disk;
mod files;
mod kernel;
mod processes;

use std::io;
use std::process::ExitCode;

/// What an attempt says: `Ok` if it went through, with what it found.
type Tried = io::Result<String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, arguments)) = arguments.split_first() else {
        eprintln!("escape NAME [ARGUMENT...]");
        return ExitCode::FAILURE;
    };
    let tried = kernel::attempt(name)
        .or_else(|| disk::attempt(name, arguments))
        .or_else(|| files::attempt(name, arguments))
        .or_else(|| processes::attempt(name, arguments));
    match tried {
        Some(Ok(found)) => println!("{name} 0 {found}"),
        Some(Err(error)) => match error.raw_os_error() {
            Some(number) => println!("{name} {number} {error}"),
            None => println!("{name} -1 {error}"),
        },
        None => {
            eprintln!("no attempt is called {name}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The outcome of a system call that returns a number.
fn called(result: i64) -> Tried {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result.to_string()) }
}
