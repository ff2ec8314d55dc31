//! Waiting for conditions: a probe is tried until it is true or the time is over.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::interrupt;

/// Pause between two tries of a probe.
const INTERVAL: Duration = Duration::from_millis(50);

/// Tries `probe` until it succeeds, for at most `limit`.
///
/// An error that may pass by itself ([`Error::is_transient`]: not yet, no answer, a refusal)
/// is tried again, any other ends the wait.
///
/// # Errors
/// [`Error::Timeout`] with the last transient error; [`Error::Interrupted`] on a signal; the
/// probe's own error when it is not transient.
pub fn eventually<T>(
    what: impl Into<String>,
    limit: Duration,
    probe: impl FnMut() -> Result<T>,
) -> Result<T> {
    retry(what.into(), limit, probe, interrupt::pause)
}

/// Like [`eventually`], but a signal does not end it: for teardown, which must finish.
///
/// # Errors
/// As [`eventually`], without [`Error::Interrupted`].
pub fn eventually_regardless<T>(
    what: impl Into<String>,
    limit: Duration,
    probe: impl FnMut() -> Result<T>,
) -> Result<T> {
    retry(what.into(), limit, probe, interrupt::pause_regardless)
}

fn retry<T>(
    what: String,
    limit: Duration,
    mut probe: impl FnMut() -> Result<T>,
    pause: impl Fn(Duration) -> Result<()>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        let error = match probe() {
            Ok(value) => return Ok(value),
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(error),
        };
        if start.elapsed() >= limit {
            let (waited, last) = (start.elapsed(), error.to_string());
            return Err(Error::Timeout { what, waited, last });
        }
        pause(INTERVAL)?;
    }
}

/// For probes: [`Error::NotYet`] with `why` unless `condition` holds.
///
/// # Errors
/// [`Error::NotYet`].
pub fn ready(condition: bool, why: impl FnOnce() -> String) -> Result<()> {
    if condition { Ok(()) } else { Err(Error::NotYet(why())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_tried_until_it_succeeds() {
        let mut tries = 0;
        let value = eventually("the third try", Duration::from_mins(1), || {
            tries += 1;
            ready(tries == 3, || format!("try {tries}"))?;
            Ok(tries)
        });
        assert_eq!(value.unwrap(), 3);
    }

    #[test]
    fn a_condition_that_never_comes_says_what_was_last_seen() {
        let error = eventually("a cow to fly", Duration::from_millis(120), || -> Result<()> {
            Err(Error::NotYet("it grazes".into()))
        })
        .unwrap_err()
        .to_string();
        assert!(error.contains("a cow to fly") && error.contains("it grazes"), "{error}");
    }

    #[test]
    fn an_error_that_will_not_pass_ends_the_wait() {
        let mut tries = 0;
        let error = eventually("anything", Duration::from_mins(1), || -> Result<()> {
            tries += 1;
            Err(Error::Unexpected { what: "the answer".into(), reason: "not JSON".into() })
        });
        assert!(matches!(error, Err(Error::Unexpected { .. })));
        assert_eq!(tries, 1);
    }
}
