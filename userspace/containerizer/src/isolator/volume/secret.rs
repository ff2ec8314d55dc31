//! `volume/secret`: files whose text is a secret, for the command's user alone (mode 0400), and
//! read-only whatever the volume's mode. They are in memory, never on disk or in swap; what they
//! say is not in the checkpoint, and a container that is taken over goes on with what it has.

use super::target;
use crate::isolator::{Draft, Isolator, Request};
use crate::launch::plan::{Attributes, Mount, What};
use crate::{Error, VolumeSource};

/// The isolator.
pub(in crate::isolator) struct Secret;

impl Isolator for Secret {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        for volume in &request.spec.volumes {
            let VolumeSource::Secret(secret) = &volume.source else { continue };
            let what = What::Secret(secret.clone());
            let attributes = Attributes::QUIET.read_only();
            draft.mount(Mount { target: target(request, volume)?, what, attributes })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Version;
    use crate::isolator::testing;
    use crate::{ContainerSpec, SecretData, Volume};

    #[test]
    fn the_helper_is_told_and_the_checkpoint_is_not() {
        let volume = Volume {
            container_path: "/etc/token".into(),
            source: VolumeSource::Secret(SecretData::new(b"hush\xff".to_vec())),
            read_only: false,
        };
        let spec = ContainerSpec { volumes: vec![volume], ..testing::spec() };
        let image = testing::image("{}");
        let plan = testing::plan(&[("volume/secret", &Secret)], &spec, Some(&image)).unwrap();
        let shown = format!("{spec:?} {plan:?}");
        assert!(shown.contains("Secret") && !shown.contains("hush"), "{shown}");
        let encoded = "aHVzaP8=";
        assert!(serde_json::to_string(&plan).unwrap().contains(encoded));
        let (_directory, mut subject) = testing::subject(Version::V2, &[]);
        subject.plan = plan;
        let kept = subject.without_secrets();
        assert!(!serde_json::to_string(&kept).unwrap().contains(encoded));
        assert_eq!(kept.plan.mounts.len(), 1);
        assert_eq!(kept.plan.mounts[0].target, subject.plan.mounts[0].target);
    }
}
