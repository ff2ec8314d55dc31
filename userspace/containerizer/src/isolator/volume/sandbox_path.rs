//! `volume/sandbox_path`: a part of the sandbox at another place in the container. A
//! directory that is not there is made, and is the command's user's.

use std::path::PathBuf;

use super::target;
use crate::isolator::{Draft, Isolator, Request, Subject};
use crate::launch::make_beneath;
use crate::launch::plan::{Attributes, Mount};
use crate::{Error, VolumeSource};

const NAME: &str = "volume/sandbox_path";

/// The isolator.
pub(in crate::isolator) struct SandboxPath;

impl Isolator for SandboxPath {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        let mut made = Vec::new();
        let top = request.sandbox_top();
        for volume in &request.spec.volumes {
            let VolumeSource::SandboxPath { path, parent } = &volume.source else { continue };
            let sandbox = match (parent, request.parent) {
                (false, _) => &request.spec.sandbox,
                (true, Some(parent)) => &parent.plan.sandbox,
                (true, None) => {
                    let reason = "a container that is in no other has no parent's sandbox".into();
                    return Err(Error::Spec { field: "volumes", reason });
                }
            };
            let path = sandbox.join(path);
            if !path.exists()
                && let Ok(below) = path.strip_prefix(top)
            {
                made.push(below.to_owned());
                draft.own(below.to_owned());
            }
            let what = request.sandboxed(&path);
            let attributes = Attributes { read_only: volume.read_only, ..Attributes::DATA };
            draft.mount(Mount { target: target(request, volume)?, what, attributes })?;
        }
        draft.note(&made)
    }

    fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        let made: Vec<PathBuf> = subject.note(NAME)?.unwrap_or_default();
        let top = &subject.plan.sandbox_top;
        made.iter().try_for_each(|path| Ok(make_beneath(top, path).map(drop)?))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cgroup::Version;
    use crate::isolator::testing;
    use crate::{ContainerSpec, Volume};

    fn volume(path: &str, parent: bool) -> Volume {
        Volume {
            container_path: "/data".into(),
            source: VolumeSource::SandboxPath { path: path.into(), parent },
            read_only: false,
        }
    }

    #[test]
    fn directories_are_made_that_are_not_there() {
        let sandbox = tempfile::tempdir().unwrap();
        fs::write(sandbox.path().join("file"), "").unwrap();
        let spec = ContainerSpec {
            sandbox: sandbox.path().into(),
            volumes: vec![
                volume("a/b", false),
                Volume { container_path: "/file".into(), ..volume("file", false) },
            ],
            ..testing::spec()
        };
        let image = testing::image("{}");
        let (plan, notes) = testing::planned(&[(NAME, &SandboxPath)], &spec, Some(&image)).unwrap();
        assert_eq!(plan.owned, [PathBuf::from("a/b")]);
        let (_directory, mut subject) = testing::subject(Version::V2, &[]);
        (subject.plan, subject.notes) = (plan, notes);
        SandboxPath.isolate(&subject).unwrap();
        assert!(sandbox.path().join("a/b").is_dir() && sandbox.path().join("file").is_file());
    }

    #[test]
    fn nobody_around_it_means_no_parents_sandbox() {
        let spec = ContainerSpec { volumes: vec![volume("x", true)], ..testing::spec() };
        let error = testing::plan(&[(NAME, &SandboxPath)], &spec, None).unwrap_err().to_string();
        assert!(error.ends_with("in no other has no parent's sandbox"), "{error}");
    }
}
