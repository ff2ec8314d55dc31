use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

fn file(text: &[u8]) -> File {
    use std::io::Write as _;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text).unwrap();
    file
}

fn shown(file: &File, offset: Option<u64>, length: Option<u64>) -> (String, u64, u64) {
    let part = part(file, offset, length).unwrap();
    let number = |name: &str| part[name].as_u64().unwrap();
    (part["data"].as_str().unwrap().to_owned(), number("offset"), number("length"))
}

#[test]
fn parts_are_mesos() {
    let file = file(b"hello");
    assert_eq!(shown(&file, None, None), (String::new(), 5, 0));
    assert_eq!(shown(&file, Some(5), None), (String::new(), 5, 0));
    assert_eq!(shown(&file, Some(9), Some(1)), (String::new(), 5, 0));
    assert_eq!(shown(&file, Some(1), None), ("ello".into(), 1, 4));
    assert_eq!(shown(&file, Some(1), Some(2)), ("el".into(), 1, 2));
    assert_eq!(shown(&file, Some(1), Some(0)), (String::new(), 1, 0));
    let large = self::file(&vec![b'x'; 100_000]);
    assert_eq!(shown(&large, Some(0), Some(100_000)).2, LENGTH_MAX);
}

#[test]
fn characters_are_not_cut() {
    let file = file("aä€".as_bytes());
    assert_eq!(shown(&file, Some(0), Some(2)), ("a".into(), 0, 1));
    assert_eq!(shown(&file, Some(1), Some(4)), ("ä".into(), 1, 2));
    // Then what is there is shown all the same.
    assert_eq!(shown(&file, Some(3), Some(1)), ("\u{fffd}".into(), 3, 1));
    let binary = self::file(b"a\xffb");
    assert_eq!(shown(&binary, Some(0), None), ("a\u{fffd}b".into(), 0, 3));
}

#[test]
fn numbers_that_are_none_are_refused_by_name() {
    assert!(matches!(number("offset", Some("-1")), Ok(None)));
    assert!(matches!(number("offset", Some("7")), Ok(Some(7))));
    for text in ["-2", "x", "", "99999999999999999999"] {
        let Err(Refusal::Bad(reason)) = number("length", Some(text)) else { panic!("{text}") };
        assert!(reason.contains("length"), "{reason}");
    }
}

#[test]
fn nothing_leads_out_of_a_sandbox() {
    let (top, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let at = |name: &str| top.path().join(name);
    fs::create_dir(at("dir")).unwrap();
    fs::write(at("dir/file"), "text").unwrap();
    symlink("dir/file", at("inner")).unwrap();
    symlink(outside.path(), at("outer")).unwrap();
    symlink("/proc/self/root/etc/passwd", at("magic")).unwrap();
    symlink("loop", at("loop")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let try_open = |below: &str| open(top.path(), Path::new(below));
    for below in ["dir/file", "inner", "dir/../inner"] {
        assert!(matches!(try_open(below), Ok(Opened::File(_))), "{below}");
    }
    for below in ["", ".", "dir"] {
        assert!(matches!(try_open(below), Ok(Opened::Directory(_))), "{below}");
    }
    let escape = format!("../{}/secret", outside.path().file_name().unwrap().display());
    for below in ["outer", "outer/secret", "magic", "loop", "none", "inner/x", &escape, ".."] {
        assert!(matches!(try_open(below), Err(Refusal::Missing)), "{below}");
    }
    assert!(matches!(try_open("fifo"), Err(Refusal::Bad(_))));
    assert!(matches!(open(&at("gone"), Path::new("x")), Err(Refusal::Missing)));
}
