//! Running commands to their end.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;

use crate::error::{Error, Result};

/// Runs `command` and returns what it wrote to standard output.
///
/// # Errors
/// [`Error::Command`] when it can not be started or does not end with 0, with what it wrote to
/// standard error.
pub fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| cannot_start(&line, &error))?;
    text(line, &output)
}

/// Runs `command` with `input` on its standard input and returns its standard output.
///
/// # Errors
/// As [`output`].
pub fn output_with_input(command: &mut Command, input: &[u8]) -> Result<String> {
    let line = line(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(&line, &error))?;
    let pipe = child.stdin.take();
    let output = thread::scope(|scope| {
        // A command that ends without reading breaks the pipe; its status says why.
        scope.spawn(move || pipe.map(|mut pipe| pipe.write_all(input)));
        child.wait_with_output()
    });
    text(line.clone(), &output.map_err(|error| cannot_start(&line, &error))?)
}

/// The command line as one would type it.
pub fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn text(line: String, output: &Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Command {
        command: line,
        outcome: format!("ended with {}: {}", output.status, said.trim_end()),
    })
}

pub(crate) fn cannot_start(line: &str, error: &std::io::Error) -> Error {
    Error::Command { command: line.to_owned(), outcome: format!("can not be started: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_goes_in_and_output_comes_out() {
        let text = output_with_input(&mut Command::new("cat"), b"through").unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn a_failure_names_the_command_its_status_and_its_last_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo broken >&2; exit 3"]);
        let error = output(&mut command).unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains("status: 3"), "{error}");
        assert!(error.ends_with("broken"), "{error}");
    }
}
