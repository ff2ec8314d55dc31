//! Where containers' output goes: Mesos' container loggers.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::bytes::parse_bytes;

/// What the variables of a task begin with that change its logger.
const PREFIX: &str = "CONTAINER_LOGGER_";
/// Mesos takes no less than a page.
const BYTES_MIN: u64 = 4096;
/// More would make every rotation long.
const FILES_MAX: u32 = 1000;

/// `--container-logger`: what becomes of a container's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Logger {
    /// `stdout` and `stderr` in the sandbox, which the container writes itself.
    #[default]
    Sandbox,
    /// The same, but when one has reached its size it becomes `stdout.1`, an older one
    /// `stdout.2`, and so on. The helper writes them.
    Logrotate {
        /// Of standard output.
        stdout: Rotation,
        /// Of standard error.
        stderr: Rotation,
    },
}

/// When a log is exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The most bytes of one file; at least 4096.
    pub max_bytes: u64,
    /// How many older ones are kept, at most 1000.
    pub files: u32,
}

/// `--logrotate-stdout-options`: of logrotate's, the one that makes a difference here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogrotateOptions {
    /// `rotate COUNT`: how many older files are kept.
    pub rotate: u32,
}

impl Rotation {
    /// Mesos' 10 MB.
    pub const MAX_BYTES: u64 = 10 << 20;
    /// What is kept unless told otherwise.
    pub const FILES: u32 = 9;
    /// One file that grows for ever.
    pub const UNLIMITED: Self = Self { max_bytes: u64::MAX, files: 0 };

    fn validate(self, name: &str) -> Result<(), (String, String)> {
        if self.max_bytes < BYTES_MIN {
            let reason = format!("{} bytes are less than {BYTES_MIN}", self.max_bytes);
            return Err((format!("max_{name}_size"), reason));
        }
        if self.files > FILES_MAX {
            let reason = format!("rotate {} is more than {FILES_MAX}", self.files);
            return Err((format!("logrotate_{name}_options"), reason));
        }
        Ok(())
    }
}

impl Default for Rotation {
    fn default() -> Self {
        Self { max_bytes: Self::MAX_BYTES, files: Self::FILES }
    }
}

impl FromStr for LogrotateOptions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut options = Self { rotate: Rotation::FILES };
        for option in text.split(['\n', ';']).map(str::trim).filter(|option| !option.is_empty()) {
            let words: Vec<&str> = option.split_whitespace().collect();
            match words[..] {
                ["rotate", count] => {
                    options.rotate =
                        count.parse().map_err(|_| format!("`{option}` is not `rotate COUNT`"))?;
                }
                _ => return Err(format!("`{option}` is not supported: only `rotate COUNT` is")),
            }
        }
        Ok(options)
    }
}

impl Logger {
    /// Checks the parameters: the one that is wrong, and why.
    pub(crate) fn validate(&self) -> Result<(), (String, String)> {
        match self {
            Self::Sandbox => Ok(()),
            Self::Logrotate { stdout, stderr } => {
                stdout.validate("stdout")?;
                stderr.validate("stderr")
            }
        }
    }

    /// The logger of one container, whose variables, `environment`, may change it:
    /// `CONTAINER_LOGGER_MAX_STDOUT_SIZE`, `CONTAINER_LOGGER_LOGROTATE_STDOUT_OPTIONS`, and for
    /// standard error.
    ///
    /// # Errors
    /// [`Error::Spec`] names the variable that makes no sense.
    pub fn of(self, environment: &[(String, String)]) -> Result<Self, Error> {
        let Self::Logrotate { mut stdout, mut stderr } = self else { return Ok(self) };
        let refuse = |name: &str, reason: String| Error::Spec {
            field: "environment",
            reason: format!("{name}: {reason}"),
        };
        for (variable, value) in environment {
            let Some(name) = variable.strip_prefix(PREFIX) else { continue };
            let bytes = || parse_bytes(value).map_err(|reason| refuse(variable, reason));
            let files = || {
                let options = LogrotateOptions::from_str(value);
                options.map(|o| o.rotate).map_err(|reason| refuse(variable, reason))
            };
            match name {
                "MAX_STDOUT_SIZE" => stdout.max_bytes = bytes()?,
                "MAX_STDERR_SIZE" => stderr.max_bytes = bytes()?,
                "LOGROTATE_STDOUT_OPTIONS" => stdout.files = files()?,
                "LOGROTATE_STDERR_OPTIONS" => stderr.files = files()?,
                _ => return Err(refuse(variable, "is no parameter of the logger".into())),
            }
        }
        let logger = Self::Logrotate { stdout, stderr };
        logger
            .validate()
            .map_err(|(name, why)| refuse(&format!("{PREFIX}{}", name.to_uppercase()), why))?;
        Ok(logger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROTATED: Logger = Logger::Logrotate {
        stdout: Rotation { max_bytes: 8192, files: 3 },
        stderr: Rotation { max_bytes: 8192, files: 3 },
    };

    fn of(logger: Logger, variables: &[(&str, &str)]) -> Result<Logger, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let variables: Vec<_> = variables.collect();
        logger.of(&variables).map_err(|error| error.to_string())
    }

    #[test]
    fn a_task_may_have_its_own_limits() {
        let own = of(
            ROTATED,
            &[
                ("CONTAINER_LOGGER_MAX_STDOUT_SIZE", "1MB"),
                ("CONTAINER_LOGGER_LOGROTATE_STDERR_OPTIONS", "rotate 7"),
                ("OTHER", "x"),
            ],
        );
        let expected = Logger::Logrotate {
            stdout: Rotation { max_bytes: 1 << 20, files: 3 },
            stderr: Rotation { max_bytes: 8192, files: 7 },
        };
        assert_eq!(own, Ok(expected));
        // Without that logger they are variables like others.
        let plain = of(Logger::Sandbox, &[("CONTAINER_LOGGER_MAX_STDOUT_SIZE", "x")]);
        assert_eq!(plain, Ok(Logger::Sandbox));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (name, value, expected) in [
            ("CONTAINER_LOGGER_MAX_STDOUT_SIZE", "10", "needs a unit"),
            ("CONTAINER_LOGGER_MAX_STDERR_SIZE", "1KB", "less than 4096"),
            ("CONTAINER_LOGGER_LOGROTATE_STDOUT_OPTIONS", "compress", "only `rotate COUNT`"),
            ("CONTAINER_LOGGER_LOGROTATE_STDOUT_OPTIONS", "rotate 1001", "more than 1000"),
            ("CONTAINER_LOGGER_COLOUR", "red", "no parameter"),
        ] {
            let error = of(ROTATED, &[(name, value)]).unwrap_err();
            assert!(error.contains(name) && error.contains(expected), "{error}");
        }
        assert_eq!("rotate 1; rotate 2\n".parse(), Ok(LogrotateOptions { rotate: 2 }));
        assert!("rotate x".parse::<LogrotateOptions>().is_err());
    }
}
