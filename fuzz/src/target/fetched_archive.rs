//! Archives that are fetched into a sandbox: zip, and tar as it is or by gzip, bzip2 or xz.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::{fs, io};

use muster_containerizer::trial;

use super::ground::{Ground, census, on_ground};
use super::layer::repaired;

/// Little, so that little is made.
const BYTES: u64 = 128 << 10;
const ENTRIES: u64 = 64;

pub(crate) fn run(input: &[u8]) {
    // What a file is taken for goes by its name; what it is, by how it begins.
    let (names, archive): (&[&str], _) = match input {
        [b'P', b'K', ..] => (&["a.zip"], input.to_vec()),
        [0x1f, 0x8b, ..] => (&["a.tar.gz", "a.gz"], input.to_vec()),
        [b'B', b'Z', b'h', ..] => (&["a.tar.bz2"], input.to_vec()),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => (&["a.txz"], input.to_vec()),
        _ => (&["a.tar"], repaired(input)),
    };
    for name in names {
        on_ground(|ground| tried(ground, name, &archive));
    }
}

fn tried(ground: &Ground, name: &str, archive: &[u8]) -> io::Result<()> {
    let (file, sandbox) = (ground.root().join(name), ground.root().join("sandbox"));
    fs::write(&file, archive)?;
    fs::create_dir(&sandbox)?;
    let extracted = trial::fetched(&file, &sandbox, BYTES, ENTRIES);
    ground.check()?;
    assert_eq!(fs::read(&file)?, archive);
    assert_eq!(fs::read_dir(ground.root())?.count(), 2, "{extracted:?}");
    // Limits hold of what was refused in the end, too.
    let census = census(&sandbox)?;
    assert!(census.bytes <= BYTES.max(archive.len() as u64), "{census:?} {extracted:?}");
    harmless(&sandbox, &sandbox)
}

/// Fails if anything below is more than a file, a directory, or a link that stays in `sandbox`.
fn harmless(directory: &Path, sandbox: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let found = fs::symlink_metadata(&path)?;
        let shown = path.display();
        assert_eq!((found.uid(), found.gid()), (0, 0), "{shown}");
        if found.is_symlink() {
            // One that leads nowhere may lead somewhere later, and then the same holds.
            if let Ok(target) = fs::canonicalize(&path) {
                assert!(
                    target.starts_with(sandbox.canonicalize()?),
                    "{shown}: {}",
                    target.display()
                );
            }
            continue;
        }
        assert!(found.is_dir() || found.is_file(), "{shown}");
        assert_eq!(found.mode() & 0o7000, 0, "{shown}");
        if found.is_dir() {
            harmless(&path, sandbox)?;
        } else {
            assert!(!path.ends_with(".fetching~"), "half a file: {shown}");
        }
    }
    Ok(())
}
