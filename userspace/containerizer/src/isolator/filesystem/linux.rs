//! `filesystem/linux`: a container's own view of files: its image's root filesystem, or the
//! host's, with /proc, /sys and /dev of its own, and its sandbox.

mod files;
mod kernel;
mod users;

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::At as _;
use crate::image::{Backend, Image, ImageError, copy, own_as};
use crate::isolator::namespaces::ipc;
use crate::isolator::{Draft, Isolation, Isolator, Request, Subject};
use crate::launch::plan::{Attributes, Mount, Namespace, Plan, Root};
use crate::removal::remove_tree;
use crate::spec::SANDBOX;
use crate::{Error, IdRange};
use users::Users;

/// The isolator.
pub(in crate::isolator) struct Linux {
    /// Who the users of containers are; `None` for new ones to have those of the host.
    users: Option<Users>,
}

impl Linux {
    /// With its flags.
    pub(in crate::isolator) fn new(flags: &Isolation) -> Result<Self, Error> {
        Ok(Self { users: Users::new(flags)? })
    }
}

impl Isolator for Linux {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        draft.namespace(Namespace::Mount);
        draft.namespace(Namespace::Uts);
        // Those of a nested one are those of the one around it.
        let ids = match (request.parent, &self.users) {
            (Some(parent), _) => parent.plan.ids,
            (None, Some(users)) => Some(users.take(&request.spec.id)?),
            (None, None) => None,
        };
        if let Some(ids) = ids {
            draft.ids(ids)?;
        }
        if let Some(name) = &request.spec.hostname {
            draft.hostname(name)?;
        }
        kernel::interfaces(draft)?;
        if let Some(image) = request.image {
            let layers = image.places.iter().chain(&image.layers).cloned().collect();
            draft.root(match image.backend {
                Backend::Overlay => Root::Layers(layers),
                Backend::Copy => Root::Copied(layers),
                Backend::Bind => Root::Bound(bindable(request, image)?),
            })?;
        } else {
            draft.root(request.root_without_image())?;
        }
        if request.in_image() {
            let what = request.sandboxed(&request.spec.sandbox);
            draft.mount(Mount { target: SANDBOX.into(), what, attributes: Attributes::DATA })?;
        }
        if !request.has("namespaces/ipc") {
            draft.mount(ipc::shm(Isolation::SHM_BYTES))?;
        }
        files::network(request, draft)
    }

    fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        make_scratch(&subject.plan)?;
        files::write(&subject.plan)
    }

    fn cleanup(&self, subject: &Subject) -> Result<(), Error> {
        let scratch = &subject.plan.scratch;
        // Most containers have left these empty. What is not tells the next step.
        for name in ["upper", "work/work", "work", ""] {
            let _ = fs::remove_dir(scratch.join(name));
        }
        remove_tree(scratch).at("remove", scratch)?;
        self.forget(&subject.id);
        Ok(())
    }

    fn forget(&self, id: &str) {
        if let Some(users) = &self.users {
            users.release(id);
        }
    }

    fn recover(&self, known: &[Arc<Subject>]) -> Result<(), Error> {
        if let Some(users) = &self.users {
            users.recover(known);
        }
        Ok(())
    }
}

fn make_scratch(plan: &Plan) -> Result<(), Error> {
    // Closed to others: set-user-ID files of an image are not for the host's users.
    fs::DirBuilder::new().mode(0o700).create(&plan.scratch).at("mkdir", &plan.scratch)?;
    match &plan.root {
        Root::Layers(layers) => upper(layers, &plan.scratch, plan.ids),
        Root::Copied(layers) => copied(layers, &plan.scratch.join("root")),
        Root::Host | Root::Parent { .. } | Root::Bound(_) => Ok(()),
    }
}

/// Makes what an overlay of `layers` needs in `directory`, over which it is going to be.
pub(in crate::isolator) fn upper(
    layers: &[PathBuf],
    directory: &Path,
    ids: Option<IdRange>,
) -> Result<(), Error> {
    for name in ["upper", "work"] {
        let path = directory.join(name);
        fs::DirBuilder::new().mode(0o755).create(&path).at("mkdir", &path)?;
    }
    // The uppermost directory's owner and mode are those of `/`.
    if let Some(top) = layers.first() {
        let upper = directory.join("upper");
        own_as(top, &upper).at("chown", &upper)?;
        if let Some(ids) = ids {
            let found = fs::metadata(&upper).at("stat", &upper)?;
            chown(&upper, ids.outside(found.uid()), ids.outside(found.gid()))
                .at("chown", &upper)?;
        }
    }
    Ok(())
}

/// Makes `directory`, a copy of `layers`.
pub(in crate::isolator) fn copied(layers: &[PathBuf], directory: &Path) -> Result<(), Error> {
    fs::create_dir(directory).at("mkdir", directory)?;
    copy(layers, directory).map_err(|(path, source)| Error::Io { operation: "copy", path, source })
}

/// The only layer of `image`, in which nothing can be made: what containers have mounted has
/// to have its place there.
fn bindable(request: &Request<'_>, image: &Image) -> Result<PathBuf, Error> {
    let layer = image.layers.first().cloned().unwrap_or_default();
    for place in ["/dev", "/proc", "/sys", SANDBOX] {
        let there = layer.join(place.trim_start_matches('/'));
        if !there.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Err(ImageError::Backend {
                image: request.spec.image.clone().unwrap_or_default(),
                backend: image.backend.name(),
                reason: format!("makes no directories, and it has no {place}"),
            }
            .into());
        }
    }
    Ok(layer)
}
