//! `linux/seccomp`: which system calls a command can make (seccomp(2)).
//!
//! Docker's default profile unless the agent or the task names one of the agent's directory of
//! profiles; or none at all, if a task says so.

use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::isolator::{Draft, Isolation, Isolator, Request};
use crate::seccomp::{Filter, Profile, Surroundings};
use crate::{CapabilitySet, Error, spec};

/// The isolator.
pub(in crate::isolator) struct Seccomp {
    directory: Option<PathBuf>,
    /// The profile of tasks that do not say, and what errors call it.
    usual: (String, Profile),
    /// What the latter was compiled to last, and for which bounding set: that of most tasks.
    latest: Mutex<(CapabilitySet, Filter)>,
}

impl Seccomp {
    /// With its flags.
    pub(in crate::isolator) fn new(flags: &Isolation) -> Result<Self, Error> {
        let refuse = |reason| Error::Config { field: "seccomp_profile_name", reason };
        let usual = if let Some(name) = &flags.seccomp_profile {
            read(flags.seccomp_dir.as_deref(), name).map_err(refuse)?
        } else {
            let name = "Docker's profile".to_owned();
            let profile = Profile::docker().map_err(|error| refuse(format!("{name}: {error}")))?;
            (name, profile)
        };
        // What is wrong with it is known at the start, not at the first launch.
        let bounding = CapabilitySet::DOCKER;
        let latest = Mutex::new((bounding, compile(&usual, bounding).map_err(refuse)?));
        Ok(Self { directory: flags.seccomp_dir.clone(), usual, latest })
    }

    /// The usual profile's filter. To compile it takes longer than to start a process.
    fn usual(&self, bounding: CapabilitySet) -> Result<Filter, String> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.0 != bounding {
            *latest = (bounding, compile(&self.usual, bounding)?);
        }
        Ok(latest.1.clone())
    }
}

impl Isolator for Seccomp {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        let refuse = |reason| Error::Spec { field: "seccomp", reason };
        let bounding = draft.bounding().unwrap_or(CapabilitySet::ALL);
        let filter = match &request.spec.seccomp {
            spec::Seccomp::Unconfined => return Ok(()),
            spec::Seccomp::Default => self.usual(bounding),
            spec::Seccomp::Profile(name) => read(self.directory.as_deref(), name)
                .and_then(|profile| compile(&profile, bounding)),
        };
        draft.seccomp(filter.map_err(refuse)?)
    }
}

/// The profile `name` of a directory, with its path.
fn read(directory: Option<&Path>, name: &str) -> Result<(String, Profile), String> {
    let directory = directory.ok_or_else(|| {
        format!("`{name}` is in no directory: the agent has no --seccomp-config-dir")
    })?;
    let mut parts = Path::new(name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        return Err(format!("`{name}` is no file's plain name"));
    }
    let path = directory.join(name);
    let profile = Profile::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok((path.display().to_string(), profile))
}

fn compile((name, profile): &(String, Profile), bounding: CapabilitySet) -> Result<Filter, String> {
    let surroundings = Surroundings::here(bounding)?;
    profile.compile(&surroundings).map_err(|error| format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContainerSpec;
    use crate::isolator::testing::{plan, spec};
    use crate::spec::Seccomp::{Default as Usual, Profile as Named, Unconfined};

    const GOOD: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW",
        "syscalls":[{"names":["bpf"],"action":"SCMP_ACT_ERRNO"}]}"#;

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("good.json"), GOOD).unwrap();
        let bad = GOOD.replace("bpf", "bpff");
        std::fs::write(directory.path().join("bad.json"), bad).unwrap();
        let path = directory.path().to_owned();
        (directory, path)
    }

    fn agent(directory: Option<&Path>, profile: Option<&str>) -> Result<Seccomp, String> {
        let flags = Isolation {
            seccomp_dir: directory.map(Path::to_owned),
            seccomp_profile: profile.map(str::to_owned),
            ..Isolation::default()
        };
        Seccomp::new(&flags).map_err(|error| error.to_string())
    }

    fn filter(agent: &Seccomp, seccomp: crate::Seccomp) -> Result<Option<Filter>, String> {
        let spec = ContainerSpec { seccomp, ..spec() };
        let plan = plan(&[("linux/seccomp", agent)], &spec, None);
        plan.map(|plan| plan.process.seccomp).map_err(|error| error.to_string())
    }

    #[test]
    fn dockers_unless_somebody_says_otherwise() {
        let (_directory, path) = directory();
        let usual = agent(None, None).unwrap();
        let docker = filter(&usual, Usual).unwrap().unwrap();
        assert!(docker.instructions().count() > 100);
        assert_eq!(filter(&usual, Unconfined).unwrap(), None);
        let other = agent(Some(&path), Some("good.json")).unwrap();
        let good = filter(&other, Usual).unwrap();
        assert!(good.as_ref().is_some_and(|good| *good != docker));
        assert_eq!(filter(&agent(Some(&path), None).unwrap(), Named("good.json".into())), Ok(good));
    }

    #[test]
    fn a_bad_profile_is_refused_by_file_and_place() {
        let (_directory, path) = directory();
        let problem = format!(
            "{}/bad.json: syscalls[0].names[0]: `bpff` is no system call, so nothing would forbid it",
            path.display()
        );
        let error = agent(Some(&path), Some("bad.json")).err().unwrap();
        assert_eq!(error, format!("seccomp_profile_name: {problem}"));
        let usual = agent(Some(&path), None).unwrap();
        let error = filter(&usual, Named("bad.json".into())).unwrap_err();
        assert_eq!(error, format!("seccomp: {problem}"));
        for name in ["../good.json", "/etc/passwd", "", ".", "a/b"] {
            let error = filter(&usual, Named(name.into())).unwrap_err();
            assert_eq!(error, format!("seccomp: `{name}` is no file's plain name"));
        }
        let error = filter(&agent(None, None).unwrap(), Named("good.json".into())).unwrap_err();
        assert!(error.contains("the agent has no --seccomp-config-dir"), "{error}");
    }
}
