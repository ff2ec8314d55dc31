//! Flags of the container logger: where tasks' output goes.

use clap::{Args, ValueEnum};
use muster_containerizer::{Logger, LogrotateOptions, Rotation};

use crate::bytes;

#[derive(Debug, Args)]
pub(crate) struct LoggerFlags {
    /// What becomes of a task's stdout and stderr.
    #[arg(long, env = "MUSTER_CONTAINER_LOGGER", value_enum, default_value_t = Kind::Sandbox)]
    container_logger: Kind,
    /// With logrotate: the most that one file of standard output may have. A task may say
    /// otherwise by the variable `CONTAINER_LOGGER_MAX_STDOUT_SIZE`, and so for those below.
    #[arg(
        long,
        env = "MUSTER_MAX_STDOUT_SIZE",
        default_value = "10MB",
        value_parser = bytes::parse
    )]
    max_stdout_size: u64,
    /// With logrotate: the most that one file of standard error may have.
    #[arg(
        long,
        env = "MUSTER_MAX_STDERR_SIZE",
        default_value = "10MB",
        value_parser = bytes::parse
    )]
    max_stderr_size: u64,
    /// With logrotate: how many older files of standard output are kept.
    #[arg(long, env = "MUSTER_LOGROTATE_STDOUT_OPTIONS", default_value = "rotate 9")]
    logrotate_stdout_options: LogrotateOptions,
    /// With logrotate: how many older files of standard error are kept.
    #[arg(long, env = "MUSTER_LOGROTATE_STDERR_OPTIONS", default_value = "rotate 9")]
    logrotate_stderr_options: LogrotateOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Files in the sandbox that grow.
    Sandbox,
    /// The same, exchanged at a certain size.
    #[value(alias = "org_apache_mesos_LogrotateContainerLogger")]
    Logrotate,
}

impl From<LoggerFlags> for Logger {
    fn from(flags: LoggerFlags) -> Self {
        let rotation =
            |max_bytes, options: LogrotateOptions| Rotation { max_bytes, files: options.rotate };
        match flags.container_logger {
            Kind::Sandbox => Self::Sandbox,
            Kind::Logrotate => Self::Logrotate {
                stdout: rotation(flags.max_stdout_size, flags.logrotate_stdout_options),
                stderr: rotation(flags.max_stderr_size, flags.logrotate_stderr_options),
            },
        }
    }
}
