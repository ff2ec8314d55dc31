//! What a containerizer is told at its start.

use std::path::{Component, Path, PathBuf};

use crate::{Error, Fetching, ImageLimits, Isolation, Logger, Registries};

/// Where a containerizer finds images and keeps its own files.
#[derive(Clone, Debug)]
pub struct Config {
    /// The image store: an OCI image layout per image in `<image_dir>/<name>/`, or an archive
    /// `<name>[:<tag>].tar`, or a root filesystem in `<name>[:<tag>]/`. Extracted layers are kept in `<image_dir>/.layers`. Several agents may share it.
    pub image_dir: PathBuf,
    /// What must be known again after a restart: `<runtime_dir>/containers/<id>/`. For one
    /// containerizer at a time.
    pub runtime_dir: PathBuf,
    /// The directory in every cgroup hierarchy that holds the containers' cgroups, relative
    /// and without a leading slash: `muster/a1`.
    pub cgroups_root: String,
    /// The program that runs [`crate::launch::main`] when started as `<helper> launch`.
    pub helper: PathBuf,
    /// Where images come from that have no layout in `image_dir`.
    pub registries: Registries,
    /// How large images may be.
    pub image_limits: ImageLimits,
    /// How files are fetched into sandboxes.
    pub fetching: Fetching,
    /// Where containers' output goes.
    pub logger: Logger,
    /// The flags of isolators.
    pub isolation: Isolation,
}

impl Config {
    /// Checks the fields against each other and against the machine.
    ///
    /// # Errors
    /// [`Error::Config`] says which field is wrong, and why.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |field, reason: String| Err(Error::Config { field, reason });
        for (field, path) in [
            ("image_dir", &self.image_dir),
            ("runtime_dir", &self.runtime_dir),
            ("helper", &self.helper),
        ] {
            if !path.is_absolute() {
                return refuse(field, format!("{} is not an absolute path", path.display()));
            }
        }
        if !self.helper.is_file() {
            return refuse("helper", format!("{} is not a program", self.helper.display()));
        }
        if let Err((field, reason)) = self.registries.validate() {
            return refuse(field, reason);
        }
        if let Err((field, reason)) = self.image_limits.validate() {
            return refuse(field, reason);
        }
        if let Err((field, reason)) = self.fetching.validate() {
            return refuse(field, reason);
        }
        if let Err((parameter, reason)) = self.logger.validate() {
            return refuse("container_logger", format!("{parameter}: {reason}"));
        }
        let root = Path::new(&self.cgroups_root);
        let plain = root.components().all(|part| matches!(part, Component::Normal(_)));
        if self.cgroups_root.is_empty() || !plain {
            return refuse(
                "cgroups_root",
                format!(
                    "`{}` is not a relative path of plain names, like muster/a1",
                    self.cgroups_root
                ),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(cgroups_root: &str) -> Config {
        Config {
            image_dir: "/images".into(),
            runtime_dir: "/run/muster".into(),
            cgroups_root: cgroups_root.into(),
            helper: "/bin/sh".into(),
            registries: Registries::default(),
            image_limits: ImageLimits::default(),
            fetching: Fetching::new("/fetch".into()),
            logger: Logger::default(),
            isolation: Isolation::default(),
        }
    }

    #[test]
    fn takes_a_relative_cgroup_root() {
        config("muster/a1").validate().unwrap();
    }

    #[test]
    fn refuses_roots_that_reach_elsewhere() {
        for root in ["", "/", "/muster", "muster/../..", "..", "./muster"] {
            let error = config(root).validate().unwrap_err().to_string();
            assert!(error.contains("cgroups_root"), "{root}: {error}");
        }
    }

    #[test]
    fn refuses_relative_directories_by_name() {
        let config = Config { runtime_dir: "run".into(), ..config("muster") };
        assert!(config.validate().unwrap_err().to_string().starts_with("runtime_dir"));
    }

    #[test]
    fn refuses_a_helper_that_is_not_there() {
        let config = Config { helper: "/nowhere/muster".into(), ..config("muster") };
        assert!(config.validate().unwrap_err().to_string().starts_with("helper"));
    }
}
