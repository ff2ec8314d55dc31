//! `filesystem/linux`: a container's own view of files: its image's root filesystem, or the
//! host's, with /proc, /sys and /dev of its own, and its sandbox.

mod files;
mod kernel;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::path::Path;

use crate::error::At as _;
use crate::image::as_root_of;
use crate::isolator::namespaces::ipc;
use crate::isolator::{Draft, Isolation, Isolator, Request, Subject};
use crate::launch::plan::{Attributes, Mount, Namespace, Plan, Root};
use crate::spec::SANDBOX;
use crate::{Error, IdRange};

/// The isolator.
pub(in crate::isolator) struct Linux {
    /// Who the users of new containers are.
    ids: Option<IdRange>,
}

impl Linux {
    /// With its flags.
    pub(in crate::isolator) fn new(flags: &Isolation) -> Result<Self, Error> {
        let ids = match (flags.user_namespaces, flags.user_namespaces_range) {
            (false, _) => None,
            (true, Some(range)) => Some(range),
            (true, None) => Some(IdRange::of_machine()?),
        };
        Ok(Self { ids })
    }
}

impl Isolator for Linux {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        draft.namespace(Namespace::Mount);
        draft.namespace(Namespace::Uts);
        // Those of a nested one are those of the one around it.
        if let Some(ids) = request.parent.map_or(self.ids, |parent| parent.plan.ids) {
            draft.ids(ids)?;
        }
        if let Some(name) = &request.spec.hostname {
            draft.hostname(name)?;
        }
        kernel::interfaces(draft)?;
        if let Some(image) = request.image {
            let layers = image.places.iter().chain(&image.layers);
            draft.root(Root::Layers(layers.cloned().collect()))?;
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
        match fs::remove_dir_all(scratch) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.at("remove", scratch),
        }
    }
}

fn make_scratch(plan: &Plan) -> Result<(), Error> {
    let make = |path: &Path| fs::DirBuilder::new().mode(0o755).create(path).at("mkdir", path);
    // Closed to others: set-user-ID files of an image are not for the host's users.
    fs::DirBuilder::new().mode(0o700).create(&plan.scratch).at("mkdir", &plan.scratch)?;
    let Root::Layers(layers) = &plan.root else {
        return Ok(());
    };
    for name in ["upper", "work"] {
        make(&plan.scratch.join(name))?;
    }
    // The uppermost directory's owner and mode are those of `/`.
    if let Some(top) = layers.first() {
        let upper = plan.scratch.join("upper");
        as_root_of(top, &upper).at("chown", &upper)?;
        if let Some(ids) = plan.ids {
            let found = fs::metadata(&upper).at("stat", &upper)?;
            chown(&upper, ids.outside(found.uid()), ids.outside(found.gid()))
                .at("chown", &upper)?;
        }
    }
    Ok(())
}
