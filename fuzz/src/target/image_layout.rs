//! Images as directories: indexes, manifests and configs of an image layout (see `documents`).

use std::path::PathBuf;
use std::{fs, io};

use muster_containerizer::trial;

use super::documents::{is_plain, read};
use super::ground::{Ground, LIMITS, census, on_ground};

pub(crate) fn run(input: &[u8]) {
    on_ground(|ground| {
        put(ground, input);
        let layers = provisioned(ground)?;
        assert_eq!(provisioned(ground)?, layers, "it is what it was");
        Ok(())
    });
}

/// Makes the layout that `input` describes.
fn put(ground: &Ground, input: &[u8]) {
    for (path, content) in read(input) {
        let path = format!("app/{path}");
        if !is_plain(&path) {
            continue;
        }
        let path = ground.root().join(path);
        // A path may be that of a directory by now, or too long: then it is left out.
        if path.parent().is_some_and(|parent| fs::create_dir_all(parent).is_ok()) {
            let _left_out = fs::write(path, content);
        }
    }
}

/// The layers of the image `app`, if it is one; each of them within the limits.
pub(crate) fn provisioned(ground: &Ground) -> io::Result<Option<Vec<PathBuf>>> {
    let provisioned = trial::provision(&ground.root(), "app", LIMITS);
    ground.check()?;
    match provisioned {
        Ok(layers) => {
            assert!(!layers.is_empty(), "an image has layers");
            for layer in &layers {
                let census = census(layer)?;
                assert!(layer.starts_with(ground.root()), "{}", layer.display());
                assert!(census.names <= LIMITS.entries && census.bytes <= LIMITS.size);
                assert!(census.deepest <= LIMITS.depth, "{census:?}");
            }
            Ok(Some(layers))
        }
        Err(reason) => {
            assert!(reason.contains("app:latest"), "which image is not said: {reason}");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the seeds are images of is one: changes begin where all goes well.
    #[test]
    #[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
    fn seeds_are_images() {
        let layout: [&[u8]; 2] = [
            include_bytes!("../../seeds/image-layout/layout"),
            include_bytes!("../../seeds/image-layout/nested"),
        ];
        for seed in layout {
            let Some(ground) = Ground::new().unwrap() else { return };
            put(&ground, seed);
            assert!(provisioned(&ground).unwrap().is_some());
        }
        let archives: [&[u8]; 4] = [
            include_bytes!("../../seeds/image-archive/layout"),
            include_bytes!("../../seeds/image-archive/nested"),
            include_bytes!("../../seeds/image-archive/saved"),
            include_bytes!("../../seeds/image-archive/saved-two"),
        ];
        let archives = archives.map(|seed| super::super::documents::packed(&read(seed)));
        for archive in archives
            .iter()
            .map(Vec::as_slice)
            .chain([include_bytes!("../../seeds/image-archive/tar").as_slice()])
        {
            let Some(ground) = Ground::new().unwrap() else { return };
            fs::write(ground.root().join("app.tar"), archive).unwrap();
            assert!(provisioned(&ground).unwrap().is_some());
        }
    }
}
