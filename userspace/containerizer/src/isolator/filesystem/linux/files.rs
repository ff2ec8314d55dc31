//! Files in which a container of the host's network sees what the host sees.

use std::fs;
use std::path::Path;

use crate::Error;
use crate::error::At as _;
use crate::image::{Backend, FILES};
use crate::isolator::{Draft, Request};
use crate::launch::plan::{Attributes, Mount, Plan, What};

const HOSTS: &str = "/etc/hosts";
const HOSTNAME: &str = "/etc/hostname";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Mounts the host's files, or copies with the container's host name where it has its own.
pub(super) fn network(request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
    for target in FILES.map(Path::new) {
        // In one that cannot be written there is no place for what it has not.
        if let Some(image) = request.image.filter(|image| image.backend == Backend::Bind) {
            let inside = target.strip_prefix("/").unwrap_or(target);
            if !image.layers.iter().any(|layer| layer.join(inside).is_file()) {
                continue;
            }
        }
        let own = request.spec.hostname.is_some() && target != Path::new(RESOLV_CONF);
        if own {
            let source = request.scratch.join(target.file_name().unwrap_or_default());
            draft.mount(Mount::file(&source, target, Attributes::DATA.read_only()))?;
        } else if request.image.is_some() && target.exists() {
            draft.mount(Mount::file(target, target, Attributes::DATA.read_only()))?;
        }
    }
    Ok(())
}

/// Writes the copies that `plan` mounts.
pub(super) fn write(plan: &Plan) -> Result<(), Error> {
    let Some(name) = &plan.hostname else { return Ok(()) };
    for mount in &plan.mounts {
        let What::Host { path, .. } = &mount.what else { continue };
        if !path.starts_with(&plan.scratch) {
            continue;
        }
        let text = match mount.target.to_str() {
            Some(HOSTNAME) => format!("{name}\n"),
            Some(HOSTS) => {
                // Without a file of the host there is still the container's own name.
                let hosts = fs::read_to_string(HOSTS).unwrap_or_default();
                format!("{}\n127.0.1.1\t{name}\n", hosts.trim_end())
            }
            _ => continue,
        };
        fs::write(path, text).at("write", path)?;
    }
    Ok(())
}
