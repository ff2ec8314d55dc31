//! By another program.

use std::error::Error;
use std::process::{Command, Stdio};

use super::requests::{Request, Watch, serve as answer};

/// Runs `program` for each request.
pub(crate) fn serve(program: &str, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    answer(|request| {
        let Request::One = request else { return Err("only `one`".into()) };
        let watch = Watch::start()?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.status()?;
        let cost = watch.stop()?;
        if !status.success() {
            return Err(format!("{program}: {status}").into());
        }
        Ok(cost.numbers())
    })
}
