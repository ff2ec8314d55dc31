//! What tests beside the code need.

/// Whether what only root can do can be tried; says so when not.
///
/// # Panics
/// Without root when the environment has `CI`: there, no test may be left out.
pub(crate) fn is_root() -> bool {
    if rustix::process::getuid().is_root() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "in CI this test must run, as root");
    eprintln!("skipped: needs root");
    false
}
