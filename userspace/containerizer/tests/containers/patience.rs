//! How long tests wait for what has to come: for so much of the machine's work, not of the clock's.
//! What takes a second on a quiet machine takes a minute on a busy one, or on one that is emulated.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// So often the machine starts a program before patience is over, a minute or longer.
const ROUNDS: u32 = 600;

/// After each, so many times as long as it took nothing is done.
const REST: u32 = 50;

/// What that takes on a quiet machine, at most.
const QUIET: Duration = Duration::from_millis(2);

/// Comes when nothing is worth being waited for any more.
pub(crate) async fn over() {
    let mut took = QUIET;
    for _ in 0..ROUNDS {
        tokio::time::sleep(took * REST).await;
        let measured = tokio::task::spawn_blocking(start_a_program).await;
        took = measured.unwrap_or_default().max(QUIET);
    }
}

/// Waits until `holds`.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let held = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = held => {}
        () = over() => panic!("never: {what}"),
    }
}

/// Waits until `holds`, in a test that has no runtime at hand.
pub(crate) fn until_now(what: &str, holds: impl FnMut() -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.unwrap().block_on(until(what, holds));
}

fn start_a_program() -> Duration {
    let begun = Instant::now();
    let mut program = Command::new("/bin/busybox");
    program.arg("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A test may have waited for all of its children meanwhile.
    let _ = program.status();
    begun.elapsed()
}
