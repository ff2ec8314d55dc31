//! A layer: a tar archive that is not compressed.

use std::io;

use muster_containerizer::trial;
use tar::Header;

use super::ground::{Ground, LIMITS, census, on_ground};

const BLOCK: usize = 512;

pub(crate) fn run(input: &[u8]) {
    on_ground(|ground| tried(ground, &repaired(input)));
}

fn tried(ground: &Ground, archive: &[u8]) -> io::Result<()> {
    let root = ground.root();
    let extracted = trial::layer(archive, &root, LIMITS);
    ground.check()?;
    // Limits hold at every moment: also of what was refused in the end, but for one entry more.
    let census = census(&root)?;
    assert!(census.names <= LIMITS.entries + 1, "{census:?} {extracted:?}");
    assert!(census.bytes <= LIMITS.size, "{census:?} {extracted:?}");
    if extracted.is_ok() {
        assert!(census.deepest <= LIMITS.depth, "{census:?}");
    }
    Ok(())
}

/// The archive with the right check sums: otherwise hardly any change would come further than
/// its first header.
pub(crate) fn repaired(input: &[u8]) -> Vec<u8> {
    let mut archive = input.to_vec();
    let mut at = 0;
    while let Some(block) = archive.get_mut(at..at + BLOCK) {
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        at += BLOCK;
        if block.iter().all(|byte| *byte == 0) {
            continue;
        }
        header.set_cksum();
        block.copy_from_slice(header.as_bytes());
        let data = header.entry_size().unwrap_or(0).checked_next_multiple_of(BLOCK as u64);
        let data = data.unwrap_or(u64::MAX);
        at = at.saturating_add(usize::try_from(data).unwrap_or(usize::MAX - BLOCK - at));
        if at > archive.len() {
            break;
        }
    }
    archive
}
