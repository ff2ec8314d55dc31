//! The embedded eBPF object.

use std::path::Path;

use aya::{Ebpf, EbpfLoader};
use muster_packet::MAPS;

use crate::{Error, hook::HOOKS};

/// What `build.rs` compiled.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/muster-programs"));

/// Loads the object and has the kernel verify all its programs. With a directory, its maps
/// are those pinned there; without, new ones.
pub(crate) fn load(pinned: Option<&Path>) -> Result<Ebpf, Error> {
    let mut loader = EbpfLoader::new();
    for shape in MAPS {
        if let Some(directory) = pinned {
            loader.map_pin_path(shape.name, directory.join(shape.name));
        }
    }
    let mut object =
        loader.load(OBJECT).map_err(|source| Error::Load { source: Box::new(source) })?;
    for hook in HOOKS {
        hook.load(&mut object)?;
    }
    Ok(object)
}
