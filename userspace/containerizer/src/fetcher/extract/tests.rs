use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use proptest::prelude::*;
use tar::{Builder, Header};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

/// Unpacks `bytes` into a directory of its own, below one that must stay otherwise empty.
fn unpack(bytes: &[u8], name: &str) -> (tempfile::TempDir, PathBuf, io::Result<()>) {
    let outer = tempfile::tempdir().unwrap();
    let top = outer.path().join("inner");
    fs::create_dir(&top).unwrap();
    let mut place = Place::open(&top).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    io::Seek::rewind(&mut file).unwrap();
    let name = Path::new(name);
    let format = Format::of(name).unwrap();
    let result = extract(file, name, format, &mut place, Bounds::FETCHED, &Cancel::default());
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
    (outer, top, result)
}

fn header(kind: EntryType, size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(1234);
    header
}

/// A tar archive with an entry of any kind and path, also of those that no tool would write.
fn single(kind: EntryType, path: &str, link: &str) -> Vec<u8> {
    let mut header = header(kind, 0, 0o644);
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    let mut builder = Builder::new(Vec::new());
    builder.append(&header, io::empty()).unwrap();
    builder.into_inner().unwrap()
}

fn small_tar() -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    builder.append_data(&mut header(EntryType::Directory, 0, 0o500), "d", io::empty()).unwrap();
    builder.append_data(&mut header(EntryType::Regular, 5, 0o4755), "d/f", &b"hello"[..]).unwrap();
    builder.append_link(&mut header(EntryType::Symlink, 0, 0o777), "d/s", "../g").unwrap();
    builder.append_link(&mut header(EntryType::Link, 0, 0o644), "g", "d/f").unwrap();
    builder.into_inner().unwrap()
}

fn zipped(fill: impl FnOnce(&mut ZipWriter<io::Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
    fill(&mut writer);
    writer.finish().unwrap().into_inner()
}

/// Runs a compressor that others wrote.
fn packed(program: &str, bytes: &[u8]) -> Vec<u8> {
    use std::process::{Command, Stdio};
    let (input, output) = (Stdio::piped(), Stdio::piped());
    let mut child =
        Command::new(program).arg("-c").stdin(input).stdout(output).spawn().expect(program);
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}");
    output.stdout
}

#[test]
fn archives_of_all_formats_are_unpacked() {
    for (name, bytes) in [
        ("a.tar", small_tar()),
        ("a.tar.gz", packed("gzip", &small_tar())),
        ("a.tbz2", packed("bzip2", &small_tar())),
        ("a.txz", packed("xz", &small_tar())),
    ] {
        let (_outer, top, result) = unpack(&bytes, name);
        result.unwrap();
        assert_eq!(fs::read_to_string(top.join("d/s")).unwrap(), "hello", "{name}");
        let file = top.join("d/f").metadata().unwrap();
        // Neither the archive's owner, nor more than plain permissions.
        assert_eq!(file.uid(), top.metadata().unwrap().uid());
        assert_eq!((file.mode() & 0o7777, file.nlink()), (0o755, 2));
        assert_eq!(top.join("d").metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
    let (_outer, top, result) = unpack(&packed("gzip", b"text"), "dir/one.txt.gz");
    result.unwrap();
    assert_eq!(fs::read_to_string(top.join("dir/one.txt")).unwrap(), "text");
}

#[test]
fn zip_archives_with_modes_and_links() {
    let bytes = zipped(|zip| {
        let options = SimpleFileOptions::default();
        zip.add_directory("d", options).unwrap();
        zip.start_file("d/run", options.unix_permissions(0o755)).unwrap();
        zip.write_all(b"#!/bin/sh\n").unwrap();
        zip.add_symlink("d/link", "run", options).unwrap();
    });
    let (_outer, top, result) = unpack(&bytes, "a.zip");
    result.unwrap();
    let link = top.join("d/link");
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&link).unwrap(), "#!/bin/sh\n");
    assert_eq!(link.metadata().unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn hostile_entries_are_refused_by_name() {
    let options = SimpleFileOptions::default();
    for (bytes, name, expected) in [
        (single(EntryType::Regular, "../x", ""), "a.tar", "entry `../x`: a path with `..`"),
        (single(EntryType::Symlink, "x", "/etc"), "a.tar", "leads out of the sandbox"),
        (single(EntryType::Symlink, "x", "a/../../b"), "a.tar", "leads out of the sandbox"),
        (single(EntryType::Link, "x", "../y"), "a.tar", "a path with `..`"),
        (single(EntryType::Char, "null", ""), "a.tar", "entry `null`: is no file"),
        (single(EntryType::Fifo, "pipe", ""), "a.tar", "entry `pipe`: is no file"),
        (
            zipped(|zip| zip.start_file("../x", options).unwrap()),
            "a.zip",
            "entry `../x`: a path with `..`",
        ),
        (
            zipped(|zip| zip.add_symlink("x", "/etc", options).unwrap()),
            "a.zip",
            "leads out of the sandbox",
        ),
    ] {
        let (_outer, _top, result) = unpack(&bytes, name);
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    // As with GNU tar.
    let (_outer, top, result) = unpack(&single(EntryType::Regular, "/abs", ""), "a.tar");
    result.unwrap();
    assert!(top.join("abs").is_file());
}

#[test]
fn what_is_no_archive_is_an_error() {
    for name in ["a.tar", "a.tgz", "a.tar.bz2", "a.tar.xz", "a.zip", "a.gz"] {
        assert!(unpack(&[7; 2048], name).2.is_err(), "{name}");
    }
    let mut short = packed("gzip", &small_tar());
    short.truncate(short.len() / 2);
    assert!(unpack(&short, "a.tgz").2.is_err());
}

#[test]
fn bombs_go_off_in_the_budget() {
    let cancel = Cancel::default();
    let bounds = Bounds { bytes: 1000, ratio: 1, entries: 2 };
    let mut budget = Budget { cancel: &cancel, bounds, bytes: 1000, entries: 2 };
    budget.copy(&mut io::repeat(0).take(1000), &mut io::sink()).unwrap();
    let error = budget.copy(&mut io::repeat(0).take(1), &mut io::sink()).unwrap_err();
    assert!(error.to_string().contains("more than 1000 bytes"), "{error}");
    budget.entry().unwrap();
    budget.entry().unwrap();
    assert!(budget.entry().unwrap_err().to_string().contains("files: a bomb"));
    cancel.cancel();
    budget.bytes = 1000;
    let error = budget.copy(&mut io::repeat(0), &mut io::sink()).unwrap_err();
    assert!(error.to_string().contains("killed"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// Damage anywhere is an error or a different entry, never a panic, and never anything
    /// outside.
    #[test]
    fn damage_is_survived(at: prop::sample::Index, byte: u8, zip: bool) {
        let mut bytes = if zip {
            zipped(|zip| {
                zip.start_file("d/f", SimpleFileOptions::default()).unwrap();
                zip.write_all(b"hello").unwrap();
            })
        } else {
            small_tar()
        };
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = unpack(&bytes, if zip { "a.zip" } else { "a.tar" });
    }
}
