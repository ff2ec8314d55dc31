//! The embedded eBPF object.

use aya::{Ebpf, EbpfLoader};
use muster_packet::{FLOW_MAPS, MAPS};

use crate::{
    Error,
    flows::Flows,
    hook::HOOKS,
    pins::Pins,
    platform::features::{Feature, Need, has},
};

/// What `build.rs` compiled.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/muster-programs"));

/// Loads the object and has the kernel verify all its programs. If it adopts, its maps are those that are pinned,
/// otherwise new ones; and so the tables of flows, if they are kept. Programs do without what the kernel lacks.
pub(crate) fn load(
    pins: &Pins,
    adopt: bool,
    flows: &Flows,
    lacking: &[Feature],
) -> Result<Ebpf, Error> {
    let mut loader = EbpfLoader::new();
    for (shapes, adopt) in [(&MAPS[..], adopt), (&FLOW_MAPS[..], flows.keeps())] {
        for shape in shapes.iter().filter(|_| adopt) {
            loader.map_pin_path(shape.name, pins.directory().join(shape.name));
        }
    }
    for (name, entries) in flows.sizes() {
        loader.map_max_entries(name, entries);
    }
    // A constant to the verifier, which does not look at what it leaves out.
    let sets_error_numbers = u32::from(has(lacking, Need::ErrorNumber));
    loader.override_global("SETS_ERROR_NUMBERS", &sets_error_numbers, true);
    let mut object =
        loader.load(OBJECT).map_err(|source| Error::Load { source: Box::new(source) })?;
    for hook in HOOKS {
        hook.load(&mut object)?;
    }
    Ok(object)
}
