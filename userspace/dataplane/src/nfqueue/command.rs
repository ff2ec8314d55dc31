//! Runs the programs that change what netlink has no good library for.

use std::{
    env,
    ffi::OsString,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::Error;

/// Where a program is, also where only root's PATH leads.
///
/// # Errors
///
/// [`Error::NoProgram`].
pub(super) fn find(name: &'static str, package: &'static str) -> Result<PathBuf, Error> {
    let mut path = env::var_os("PATH").unwrap_or_default();
    for more in [":/usr/sbin", ":/sbin"].map(OsString::from) {
        path.push(more);
    }
    which::which_in(name, Some(path), "/").map_err(|_| Error::NoProgram { name, package })
}

/// Runs a program with this standard input.
pub(super) fn output(program: &Path, arguments: &str, input: &str) -> Result<Output, Error> {
    let run = || -> io::Result<Output> {
        let mut command = Command::new(program);
        command.args(arguments.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(input.as_bytes()) {
                // What it says of its input tells more.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                _ => {}
            }
        }
        child.wait_with_output()
    };
    run().map_err(|error| failed(program, arguments, error.to_string()))
}

/// The same; it must succeed.
pub(super) fn run(program: &Path, arguments: &str, input: &str) -> Result<(), Error> {
    let output = output(program, arguments, input)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(program, arguments, format!("{}: {}", output.status, said.trim())))
}

fn failed(program: &Path, arguments: &str, message: String) -> Error {
    Error::Command { command: format!("{} {arguments}", program.display()), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_program_is_named_with_its_package() {
        let error = find("no-such-program", "some-package").unwrap_err().to_string();
        assert!(error.contains("no-such-program"), "{error}");
        assert!(error.contains("apt-get install some-package"), "{error}");
    }

    #[test]
    fn failing_program_is_quoted() {
        let shell = find("sh", "dash").unwrap();
        run(&shell, "-s", "exit 0").unwrap();
        let error = run(&shell, "-s", "echo wrong >&2; exit 3").unwrap_err().to_string();
        assert!(error.contains("sh -s: exit status: 3: wrong"), "{error}");
    }
}
