//! `external/…`: programs of `--isolator-dir` as isolators, one for each file. They are run for
//! every step with JSON on standard input, and answer with JSON: docs/isolator-programs.md.

mod program;
mod protocol;
mod watch;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::{Draft, Isolation, Isolator, Request, Subject, Watch};
use crate::cgroup::Hierarchies;
use crate::error::At as _;
use crate::{Error, Resources, Status, Usage};
use program::Program;
use protocol::{Checked, Decided, Measured, Step, Told};

/// What all names begin with.
const PREFIX: &str = "external/";

/// One program.
pub(super) struct External {
    name: &'static str,
    program: Program,
    /// What it says of itself, once it has been asked.
    checked: OnceLock<Checked>,
}

/// The programs that there are: the files of `--isolator-dir`, in the order of their names.
pub(super) fn all(flags: &Isolation) -> Result<Vec<(&'static str, External)>, Error> {
    let Some(directory) = &flags.isolator_dir else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).at("read", directory)? {
        let entry = entry.at("read", directory)?;
        let name = entry.file_name();
        // What an editor leaves, or a package manager on its way.
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        if !name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_')) {
            continue;
        }
        // One for each file, once: isolators are named by what lives as long as the agent.
        let name: &'static str = format!("{PREFIX}{name}").leak();
        let program = Program::new(name, entry.path(), flags.isolator_timeout);
        found.push((name, External { name, program, checked: OnceLock::new() }));
    }
    found.sort_by_key(|(name, _)| *name);
    Ok(found)
}

impl External {
    /// What it says of itself. One that has not been chosen is asked when there is a container of
    /// an earlier run that has it.
    fn checked(&self) -> Result<&Checked, Error> {
        if let Some(checked) = self.checked.get() {
            return Ok(checked);
        }
        trustworthy(self.name, self.program.path())?;
        let answer: Checked = self.program.run(Step::Check, json!({}))?;
        answer.validate().map_err(|reason| self.program.failed(Step::Check, reason))?;
        Ok(self.checked.get_or_init(|| answer))
    }

    fn wants(&self, step: Step) -> Result<bool, Error> {
        Ok(self.checked()?.steps.contains(&step))
    }

    /// Runs a step about a container, if the program wants that.
    fn about<T: Default + serde::de::DeserializeOwned>(
        &self,
        step: Step,
        subject: &Subject,
        more: &[(&str, Value)],
    ) -> Result<T, Error> {
        if !self.wants(step)? {
            return Ok(T::default());
        }
        let mut input = json!({ "container": protocol::container(self.name, subject) });
        for (name, value) in more {
            input[*name] = value.clone();
        }
        self.program.run(step, input)
    }
}

/// Whether nobody but root can change what is going to be run as root.
fn trustworthy(name: &'static str, path: &Path) -> Result<(), Error> {
    let found = fs::metadata(path).at("stat", path)?;
    let problem = if !found.is_file() || found.mode() & 0o111 == 0 {
        "is no program"
    } else if found.uid() != 0 || found.mode() & 0o022 != 0 {
        "can be changed by others than root"
    } else {
        return Ok(());
    };
    let reason = format!("{name}: {} {problem}", path.display());
    Err(Error::Config { field: "isolator_dir", reason })
}

impl Isolator for External {
    fn check(&self, _hierarchies: &Hierarchies) -> Result<(), Error> {
        self.checked().map(drop)
    }

    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        if !self.wants(Step::Prepare)? {
            return Ok(());
        }
        let input = json!({ "container": protocol::wanted(request) });
        let decided: Decided = self.program.run(Step::Prepare, input)?;
        decided.apply(draft).map_err(|problem| match problem {
            protocol::Problem::Answer(reason) => self.program.failed(Step::Prepare, reason),
            protocol::Problem::Draft(error) => error,
        })
    }

    fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        self.about::<Told>(Step::Isolate, subject, &[]).map(drop)
    }

    fn watch(&self, subject: &Arc<Subject>) -> Option<Watch> {
        match self.wants(Step::Watch) {
            Ok(false) => None,
            Ok(true) => {
                let container = protocol::container(self.name, subject);
                let (name, path) = (self.name, self.program.path().to_owned());
                Some(Box::pin(watch::watch(name, path, subject.id.clone(), container)))
            }
            Err(error) => {
                tracing::warn!(id = subject.id, %error, "it is not watched");
                None
            }
        }
    }

    fn update(&self, subject: &Subject, resources: &Resources) -> Result<(), Error> {
        let resources = protocol::resources(resources);
        self.about::<Told>(Step::Update, subject, &[("resources", resources)]).map(drop)
    }

    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), Error> {
        let measured: Measured = self.about(Step::Usage, subject, &[])?;
        measured.apply(usage).map_err(|reason| self.program.failed(Step::Usage, reason))
    }

    fn status(&self, subject: &Subject, status: &mut Status) -> Result<(), Error> {
        let told: Told = self.about(Step::Status, subject, &[])?;
        if let Some(cpus) = told.cpus {
            status.cpus = Some(cpus);
        }
        Ok(())
    }

    fn cleanup(&self, subject: &Subject) -> Result<(), Error> {
        self.about::<Told>(Step::Cleanup, subject, &[]).map(drop)
    }

    fn forget(&self, id: &str) {
        // Only one that was asked can have set something aside.
        if !self.checked.get().is_some_and(|checked| checked.steps.contains(&Step::Forget)) {
            return;
        }
        let input = json!({ "container": { "id": id } });
        if let Err(error) = self.program.run::<Told>(Step::Forget, input) {
            tracing::warn!(id, %error, "cannot have a container forgotten");
        }
    }

    fn recover(&self, known: &[Arc<Subject>]) -> Result<(), Error> {
        if known.is_empty() && self.checked.get().is_none() || !self.wants(Step::Recover)? {
            return Ok(());
        }
        let containers: Vec<Value> =
            known.iter().map(|subject| protocol::container(self.name, subject)).collect();
        self.program.run::<Told>(Step::Recover, json!({ "containers": containers })).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;
    use crate::isolator::testing;

    /// The only program of a directory.
    fn external(directory: &Path, script: &str) -> External {
        let path = directory.join("x");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let flags = Isolation {
            isolator_dir: Some(directory.into()),
            isolator_timeout: Duration::from_secs(20),
            ..Isolation::default()
        };
        let mut all = all(&flags).unwrap();
        assert_eq!(all.len(), 1);
        all.remove(0).1
    }

    const BEGIN: &str = r#"[ $1 = check ] && exec echo '{"version":1,"steps":["prepare"]}'"#;

    fn refused(script: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let external = external(directory.path(), script);
        let isolators: [(&'static str, &dyn Isolator); 1] = [(external.name, &external)];
        testing::plan(&isolators, &testing::spec(), None).unwrap_err().to_string()
    }

    #[test]
    fn what_it_decides_is_in_the_plan() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(".hidden"), "").unwrap();
        let script = r#"read line
            case $line in *'"sandbox":"/work/sandbox"'*'"step":"prepare"'*) ;; *) exit 9;; esac
            echo '{"env":{"A":"1"},"mounts":[{"source":"/srv","target":"/data","read_only":true},
                {"filesystem":"tmpfs","target":"/t","options":"size=1m"},{"link":"x","target":"/l"}],
                "devices":["/dev/null"],"rlimits":[{"kind":"RLMT_NOFILE","soft":5,"hard":6}],
                "mask":["/proc/x"],"note":{"n":1}}'"#;
        let external = external(directory.path(), &format!("{BEGIN}\n{script}"));
        let isolators: [(&'static str, &dyn Isolator); 1] = [("external/x", &external)];
        let (plan, notes) = testing::planned(&isolators, &testing::spec(), None).unwrap();
        assert!(plan.process.environment.contains(&("A".into(), "1".into())));
        let targets: Vec<_> = plan.mounts.iter().map(|mount| mount.target.to_str()).collect();
        assert_eq!(targets, ["/data", "/t", "/l", "/dev/null"].map(Some));
        assert!(plan.mounts[0].attributes.read_only && plan.mounts[0].attributes.no_suid);
        assert_eq!(plan.devices.len(), 1);
        assert_eq!(plan.process.rlimits[0].hard, Some(6));
        assert_eq!(plan.masked[0].to_str(), Some("/proc/x"));
        assert_eq!(notes["external/x"], json!({ "n": 1 }));
    }

    #[test]
    fn what_goes_wrong_names_the_program_and_the_step() {
        let error = refused(&format!("{BEGIN}\necho no such card >&2; exit 3"));
        assert_eq!(error, "isolator external/x: prepare: exit status: 3: no such card");
        let error = refused(&format!("{BEGIN}\necho '{{\"mount\":[]}}'"));
        assert!(error.starts_with("isolator external/x: prepare: its answer: "), "{error}");
        assert!(error.contains("unknown field `mount`"), "{error}");
        let error = refused(&format!("{BEGIN}\necho '{{\"mounts\":[{{\"target\":\"data\"}}]}}'"));
        assert!(error.ends_with("mounts: `data` is no absolute path without `..`"), "{error}");
        let error = refused("echo '{\"version\":2,\"steps\":[]}'");
        assert_eq!(error, "isolator external/x: check: it speaks version 2, and this agent 1");
    }

    #[test]
    fn who_takes_too_long_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let mut external = external(directory.path(), &format!("{BEGIN}\nsleep 1000 & wait"));
        external.checked().unwrap();
        external.program =
            Program::new("external/x", directory.path().join("x"), Duration::from_millis(200));
        let isolators: [(&'static str, &dyn Isolator); 1] = [("external/x", &external)];
        let error = testing::plan(&isolators, &testing::spec(), None).unwrap_err().to_string();
        assert_eq!(error, "isolator external/x: prepare: no answer within 0.2 s");
    }

    #[test]
    fn what_others_can_change_is_not_run() {
        let directory = tempfile::tempdir().unwrap();
        let external = external(directory.path(), BEGIN);
        let path = directory.path().join("x");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let error = external.checked().map(drop).unwrap_err().to_string();
        assert!(error.ends_with("can be changed by others than root"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = external.checked().map(drop).unwrap_err().to_string();
        assert!(error.ends_with("is no program"), "{error}");
    }
}
