//! What is in a directory, in Mesos' `FileInfo`s.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

use muster_api::mesos::{FileInfo, TimeInfo};
use nix::unistd::{Gid, Group, Uid, User};
use serde_json::{Value, json};

/// All entries, by name; links are shown themselves.
pub(super) fn list(path: &str, directory: &File) -> io::Result<Vec<FileInfo>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()))? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // Gone meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        let name = entry.file_name().to_string_lossy().into_owned();
        entries.push((name, metadata));
    }
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    let info = |(name, metadata): (String, fs::Metadata)| FileInfo {
        path: format!("{}/{name}", path.trim_end_matches('/')),
        nlink: i32::try_from(metadata.nlink()).ok(),
        size: Some(metadata.size()),
        mtime: Some(TimeInfo { nanoseconds: metadata.mtime().saturating_mul(1_000_000_000) }),
        mode: Some(metadata.mode()),
        uid: Some(user(metadata.uid())),
        gid: Some(group(metadata.gid())),
    };
    Ok(entries.into_iter().map(info).collect())
}

/// An entry as the unversioned interface shows it.
pub(super) fn show(info: &FileInfo) -> Value {
    json!({
        "path": info.path,
        "nlink": info.nlink,
        "size": info.size,
        "mtime": info.mtime.map(|time| time.nanoseconds / 1_000_000_000),
        "mode": mode(info.mode()),
        "uid": info.uid,
        "gid": info.gid,
    })
}

/// `-rw-r--r--`, as ls shows it.
fn mode(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o020_000 => 'c',
        0o060_000 => 'b',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '-',
    };
    let bits = "rwxrwxrwx".chars().enumerate();
    let bits = bits.map(|(at, bit)| if mode & (0o400 >> at) == 0 { '-' } else { bit });
    std::iter::once(kind).chain(bits).collect()
}

/// The name of a user of this machine, or the number of another.
fn user(uid: u32) -> String {
    let known = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    known.map_or_else(|| uid.to_string(), |user| user.name)
}

/// The same of a group.
fn group(gid: u32) -> String {
    let known = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    known.map_or_else(|| gid.to_string(), |group| group.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_as_ls_shows_them() {
        assert_eq!(mode(0o100_644), "-rw-r--r--");
        assert_eq!(mode(0o040_750), "drwxr-x---");
        assert_eq!(mode(0o120_777), "lrwxrwxrwx");
    }

    #[test]
    fn entries_have_mesos_fields() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("b"), "text").unwrap();
        fs::create_dir(directory.path().join("a")).unwrap();
        let entries = list("/virtual/", &File::open(directory.path()).unwrap()).unwrap();
        let listed: Value = entries.iter().map(show).collect();
        assert_eq!(listed[0]["path"], "/virtual/a");
        assert_eq!(listed[1]["path"], "/virtual/b");
        assert_eq!((&listed[1]["size"], &listed[1]["nlink"]), (&json!(4), &json!(1)));
        let own = user(nix::unistd::geteuid().as_raw());
        assert_eq!(listed[1]["uid"], own);
        assert!(listed[1]["mtime"].as_i64().unwrap() > 1_000_000_000);
    }
}
