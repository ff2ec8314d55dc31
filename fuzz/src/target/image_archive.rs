//! Archives of images, `docker save`'s and packed layouts: as text (see `documents`), or as tar.

use std::{fs, io};

use muster_containerizer::trial;

use super::documents::{packed, read};
use super::ground::{Ground, on_ground};
use super::image_layout::provisioned;
use super::layer::repaired;

pub(crate) fn run(input: &[u8]) {
    let is_tar = input.get(257..262) == Some(b"ustar");
    let archive = if is_tar { repaired(input) } else { packed(&read(input)) };
    on_ground(|ground| tried(ground, &archive));
}

fn tried(ground: &Ground, archive: &[u8]) -> io::Result<()> {
    fs::write(ground.root().join("app.tar"), archive)?;
    let layers = provisioned(ground)?;
    // It is on the shelf now: what comes of it does not change.
    assert_eq!(provisioned(ground)?, layers);
    if layers.is_some() {
        let first = trial::digest(archive);
        assert_eq!(trial::digest(&fs::read(ground.root().join("app.tar"))?), first);
    }
    Ok(())
}
