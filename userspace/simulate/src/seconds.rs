//! Time in JSON.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value as Json, json};

/// A number of seconds, 0 or more, to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Seconds(pub(crate) Duration);

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        Duration::try_from_secs_f64(seconds).map(Self).map_err(|_| {
            format!("{} is no duration: give seconds, from 0 to 10^19", json!(seconds))
        })
    }
}

impl Seconds {
    /// The number, without a fraction if there is none.
    pub(crate) fn json(self) -> Json {
        if self.0.subsec_nanos() == 0 {
            json!(self.0.as_secs())
        } else {
            json!(self.0.as_secs_f64())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_fractions_where_they_need_them() {
        for (text, shown) in [("5", "5"), ("5.0", "5"), ("0.1", "0.1"), ("1e3", "1000")] {
            let seconds: Seconds = serde_json::from_str(text).unwrap();
            assert_eq!(seconds.json().to_string(), shown);
        }
    }

    #[test]
    fn time_does_not_go_back() {
        for text in ["-1", "1e20", "\"5\""] {
            assert!(serde_json::from_str::<Seconds>(text).is_err(), "{text}");
        }
    }
}
