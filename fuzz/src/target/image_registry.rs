//! What a registry gives: the manifest or index is the last file (see `documents`), its path the
//! `Content-Type`.

use std::{fs, io};

use muster_containerizer::trial;

use super::documents::read;
use super::ground::{Ground, on_ground};

pub(crate) fn run(input: &[u8]) {
    on_ground(|ground| tried(ground, input));
}

fn tried(ground: &Ground, input: &[u8]) -> io::Result<()> {
    let mut documents = read(input);
    let Some((content_type, top)) = documents.pop() else { return Ok(()) };
    let blobs = ground.root().join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    for (_, content) in documents {
        let digest = trial::digest(&content);
        fs::write(blobs.join(digest.trim_start_matches("sha256:")), content)?;
    }
    let with = |content_type| trial::pulled(&top, content_type, &ground.root());
    let pulled = with(Some(&content_type));
    ground.check()?;
    assert_eq!(with(Some(&content_type)), pulled, "it is what it was");
    if let Ok(layers) = &pulled {
        let digits = |digest: &str| digest.strip_prefix("sha256:").map(str::len);
        assert!(layers.iter().all(|digest| digits(digest) == Some(64)), "{layers:?}");
    }
    // What a document says of itself goes over what is said of it.
    if let Ok(layers) = with(None) {
        assert_eq!(pulled, Ok(layers));
    }
    Ok(())
}
