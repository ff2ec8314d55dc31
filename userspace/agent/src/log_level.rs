//! How much an agent logs, which operators change for a while.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The crates of an agent, of which more is logged.
const CRATES: [&str; 6] = [
    "muster_agent",
    "muster_containerizer",
    "muster_dataplane",
    "muster_docker",
    "muster_network",
    "muster_store",
];

type Set = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// The level of an agent's log: Mesos' verbosity, 0 (what the agent was started with), 1 (debug)
/// to 3 (trace, from 2 on). Cheap to clone.
#[derive(Clone)]
pub struct LogLevel {
    usual: Arc<str>,
    set: Arc<Set>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    level: u32,
    /// How often it was set.
    changes: u64,
}

impl LogLevel {
    /// The highest level.
    pub const MAX: u32 = 3;

    /// The level of a log of which `set` changes the directives (those of tracing's filters),
    /// which are `usual` now.
    pub fn new(
        usual: &str,
        set: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { usual: usual.into(), set: Arc::new(set), state: Arc::default() }
    }

    /// The level now.
    pub(crate) fn level(&self) -> u32 {
        self.lock().level
    }

    /// Sets the level. After `duration` it is 0 again, unless it has been set anew meanwhile.
    ///
    /// # Errors
    /// What the log says of the directives.
    pub(crate) fn raise(&self, level: u32, duration: Duration) -> Result<(), String> {
        let mut state = self.lock();
        (self.set)(&self.directives(level))?;
        state.level = level;
        state.changes += 1;
        let (own, change) = (self.clone(), state.changes);
        drop(state);
        tokio::spawn(async move {
            tokio::time::sleep(duration).await;
            own.lower(change);
        });
        Ok(())
    }

    /// Back to what is usual, if nobody has changed it since.
    fn lower(&self, change: u64) {
        let mut state = self.lock();
        if state.changes != change {
            return;
        }
        match (self.set)(&self.usual) {
            Ok(()) => state.level = 0,
            Err(error) => tracing::warn!(error, "cannot lower the level of the log"),
        }
    }

    fn directives(&self, level: u32) -> String {
        let word = match level {
            0 => return self.usual.to_string(),
            1 => "debug",
            _ => "trace",
        };
        let more = CRATES.map(|name| format!("{name}={word}"));
        std::iter::once(&*self.usual)
            .filter(|usual| !usual.is_empty())
            .chain(more.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(",")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is ever half done under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLevel").field("usual", &self.usual).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_set_last_counts_and_goes_by() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let level = LogLevel::new("info", move |directives| {
            heard.lock().unwrap().push(directives.to_owned());
            Ok(())
        });
        let long = Duration::from_hours(1);
        level.raise(1, long).unwrap();
        assert!(said.lock().unwrap()[0].starts_with("info,muster_agent=debug,"));
        level.raise(3, long).unwrap();
        assert!(said.lock().unwrap()[1].contains("muster_store=trace"));
        // The time of the first is over.
        level.lower(1);
        assert_eq!(level.level(), 3);
        level.lower(2);
        assert_eq!(level.level(), 0);
        assert_eq!(said.lock().unwrap()[2..], ["info"]);
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_changed_stays_as_it_is() {
        let level = LogLevel::new("", |_| Err("gone".into()));
        assert_eq!(level.raise(1, Duration::ZERO), Err("gone".into()));
        assert_eq!(level.level(), 0);
    }
}
