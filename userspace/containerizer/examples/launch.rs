//! The launch helper by itself, for the tests: `muster launch` without the rest.

use std::process::ExitCode;

fn main() -> ExitCode {
    muster_containerizer::launch::main()
}
