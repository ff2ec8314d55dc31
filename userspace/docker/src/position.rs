//! How far one stream of a container's output has been copied.
//!
//! The engine gives a container's output again from its start, so who comes next has to know how
//! much of it is in the sandbox already. That is the length of the file there, and what was in files
//! before it. Where the engine forgets what is old, its start is not the container's: then it is
//! counted from a time that the engine gave a part of the output.

use serde::{Deserialize, Serialize};

/// Kept beside what else has to be known again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Bytes of the stream that are not in the present file: rotated away, or lost.
    #[serde(default)]
    before: u64,
    /// The length of the file that is to be exchanged for an empty one, until it has been.
    #[serde(default)]
    full: Option<u64>,
    #[serde(default)]
    mark: Option<Mark>,
}

/// A place in the output that is known by its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// All of this time and before had come, as the engine writes it (RFC 3339, UTC, nine digits).
    pub(crate) time: String,
    /// And nothing after it: so many bytes of the stream.
    pub(crate) bytes: u64,
}

impl Position {
    /// How many bytes of the stream have come, where the file that there is has `length`; settles
    /// whether an exchange that was begun took place. Nothing is written while one is under way, so
    /// an empty file tells it.
    pub(crate) fn settle(&mut self, length: u64) -> u64 {
        if let Some(full) = self.full.take()
            && length < full
        {
            self.before += full;
        }
        self.before + length
    }

    /// To be written down before a file of `length` is exchanged.
    pub(crate) fn exchange(&mut self, length: u64) {
        self.full = Some(length);
    }

    /// To be written down after it was, and before anything is written into the new one.
    pub(crate) fn exchanged(&mut self) {
        self.before += self.full.take().unwrap_or_default();
    }

    /// So much could not be written.
    pub(crate) fn lost(&mut self, bytes: u64) {
        self.before += bytes;
    }

    /// All up to `time` has come: `bytes` of the stream.
    pub(crate) fn mark(&mut self, time: String, bytes: u64) {
        self.mark = Some(Mark { time, bytes });
    }

    /// The last such place.
    pub(crate) fn marked(&self) -> Option<&Mark> {
        self.mark.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_is_counted_once_wherever_it_ended() {
        let mut position = Position::default();
        assert_eq!(position.settle(10), 10);
        position.exchange(10);
        // It did not take place.
        assert_eq!(position.clone().settle(10), 10);
        // It did, and nothing was told after it.
        let mut told = position.clone();
        assert_eq!(told.settle(0), 10);
        assert_eq!(told.settle(3), 13);
        position.exchanged();
        assert_eq!(position, told);
        position.lost(2);
        assert_eq!(position.settle(3), 15);
    }

    #[test]
    fn what_an_earlier_build_wrote_is_read() {
        let position: Position = serde_json::from_str("{}").unwrap();
        assert_eq!((position.clone().settle(7), position.marked()), (7, None));
    }
}
