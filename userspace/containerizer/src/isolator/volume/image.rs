//! `volume/image`: the root filesystem of another image. What is written there is gone when the
//! container is.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::target;
use crate::error::At as _;
use crate::image::{Backend, ImageError};
use crate::isolator::filesystem::linux;
use crate::isolator::{Draft, Isolator, Request, Subject};
use crate::launch::plan::{Attributes, Mount, Spread, What};
use crate::{Error, VolumeSource};

const NAME: &str = "volume/image";

/// The isolator.
pub(in crate::isolator) struct Image;

/// What is made for a volume, in the container's scratch directory and removed with that.
#[derive(Serialize, Deserialize)]
struct Made {
    directory: PathBuf,
    layers: Vec<PathBuf>,
    /// Whether as a copy, and not as an overlay.
    copied: bool,
}

impl Isolator for Image {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        let mut made = Vec::new();
        let mut images = request.volume_images.iter();
        for (index, volume) in request.spec.volumes.iter().enumerate() {
            let VolumeSource::Image(wanted) = &volume.source else { continue };
            let Some(image) = images.next() else { continue };
            if draft.has_ids() {
                let reason = "an image's files would be nobody's with --user-namespaces; \
                     use an agent without";
                return Err(Error::Spec { field: "volumes", reason: reason.into() });
            }
            let own = request.scratch.join("volumes").join(index.to_string());
            let host = |path| {
                let propagation = Spread::None;
                What::Host { path, beneath: None, recursive: false, propagation }
            };
            let what = match (image.layers.as_slice(), image.backend) {
                // What nobody writes to needs nothing upon it.
                ([only], _) if volume.read_only => host(only.clone()),
                (_, Backend::Bind) => {
                    let reason = "mounts volumes only read-only; set the volume's mode to RO";
                    return Err(ImageError::Backend {
                        image: wanted.name.clone(),
                        backend: image.backend.name(),
                        reason: reason.into(),
                    }
                    .into());
                }
                (layers, backend) => {
                    let (copied, layers) = (backend == Backend::Copy, layers.to_vec());
                    made.push(Made { directory: own.clone(), layers: layers.clone(), copied });
                    if copied {
                        host(own.join("root"))
                    } else {
                        What::Layers { layers, scratch: own }
                    }
                }
            };
            let attributes = Attributes { read_only: volume.read_only, ..Attributes::DATA };
            draft.mount(Mount { target: target(request, volume)?, what, attributes })?;
        }
        draft.note(&made)
    }

    fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        let made: Vec<Made> = subject.note(NAME)?.unwrap_or_default();
        made.iter().try_for_each(|Made { directory, layers, copied }| {
            fs::create_dir_all(directory).at("mkdir", directory)?;
            if *copied {
                linux::copied(layers, &directory.join("root"))
            } else {
                linux::upper(layers, directory, subject.plan.ids)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolator::testing;
    use crate::{ContainerSpec, ImageVolume, Volume};

    fn planned(backend: Backend, layers: usize, read_only: bool) -> Result<What, String> {
        let wanted = ImageVolume { name: "data".into(), config: None, force_pull: false };
        let source = VolumeSource::Image(wanted);
        let volumes = vec![Volume { container_path: "/data".into(), source, read_only }];
        let spec = ContainerSpec { volumes, ..testing::spec() };
        let root = testing::image("{}");
        let layers = (0..layers).map(|layer| format!("/layer{layer}").into()).collect();
        let image = crate::image::Image { layers, backend, ..testing::image("{}") };
        let planned = testing::planned_with(&[(NAME, &Image)], &spec, Some(&root), &[image]);
        planned.map(|(mut plan, _)| plan.mounts.remove(0).what).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_read_only_and_one_layer_is_mounted_as_it_is() {
        for backend in [Backend::Overlay, Backend::Copy, Backend::Bind] {
            let What::Host { path, .. } = planned(backend, 1, true).unwrap() else { panic!() };
            assert_eq!(path.to_str(), Some("/layer0"));
        }
    }

    #[test]
    fn the_rest_is_the_containers_own() {
        for (layers, read_only) in [(1, false), (2, true), (2, false)] {
            let what = planned(Backend::Overlay, layers, read_only).unwrap();
            let What::Layers { layers: found, scratch } = what else { panic!() };
            assert_eq!(found.len(), layers);
            assert_eq!(scratch.to_str(), Some("/work/.c/volumes/0"));
            let what = planned(Backend::Copy, layers, read_only).unwrap();
            let What::Host { path, .. } = what else { panic!() };
            assert_eq!(path.to_str(), Some("/work/.c/volumes/0/root"));
        }
        let error = planned(Backend::Bind, 1, false).unwrap_err();
        assert!(error.starts_with("image data: the bind backend mounts volumes only"), "{error}");
    }
}
