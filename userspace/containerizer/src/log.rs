//! A file of limited size, and its predecessors.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fchmod, fchown, fstat, openat, renameat, unlinkat,
};
use rustix::io::Errno;

use crate::Rotation;

/// A log. Its directory is the container's, who may do there what he wants: nothing that it
/// puts there leads to another file than these.
#[derive(Debug)]
pub struct Log {
    directory: OwnedFd,
    name: &'static str,
    rotation: Rotation,
    file: File,
    length: u64,
    owner: (u32, u32),
}

impl Log {
    /// Opens the log `name` in `directory`; what is there already is kept.
    ///
    /// # Errors
    /// A failed system call, also for what is no file: ELOOP for a link.
    pub fn open(directory: OwnedFd, name: &'static str, rotation: Rotation) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW;
        let flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(&directory, name, flags, Mode::from_raw_mode(0o644))?;
        let stat = fstat(&opened)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("not a file"));
        }
        // Whatever the agent's umask: Mesos' mode for logs.
        fchmod(&opened, Mode::from_raw_mode(0o644))?;
        let mut file = File::from(opened);
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Self { directory, name, rotation, file, length, owner: (stat.st_uid, stat.st_gid) })
    }

    /// Makes it, and those to come, the user's and group's that `other` is.
    pub(crate) fn give_as(&mut self, other: &impl AsFd) -> io::Result<()> {
        let stat = fstat(other)?;
        self.owner = (stat.st_uid, stat.st_gid);
        chown(&self.file, self.owner)
    }

    /// Bytes in the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether [`Self::room`] is going to exchange the file for an empty one.
    pub fn is_full(&self) -> bool {
        self.length >= self.rotation.max_bytes
    }

    /// The file, and how much of `wanted` it has room for: never nothing.
    pub fn room(&mut self, wanted: usize) -> (Option<&File>, usize) {
        if self.is_full() && self.rotate().is_err() {
            // Whatever is in the way, the size is kept.
            let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
            if emptied.is_err() {
                return (None, wanted);
            }
            self.length = 0;
        }
        let left = self.rotation.max_bytes.saturating_sub(self.length);
        (Some(&self.file), usize::try_from(left).unwrap_or(wanted).min(wanted))
    }

    /// So much has come into the file.
    pub(crate) fn grown(&mut self, length: usize) {
        self.length += length as u64;
    }

    /// Writes what there was [`Self::room`] for: how much of it, nothing on a full disk.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let length = self.file.write(bytes).unwrap_or_default();
        self.grown(length);
        length
    }

    /// Gives the file and its predecessors the next names, and begins another.
    fn rotate(&mut self) -> io::Result<()> {
        if self.rotation.files == 0 {
            return Err(Errno::INVAL.into());
        }
        for number in (0..self.rotation.files).rev() {
            let from = self.numbered(number);
            match renameat(&self.directory, &from, &self.directory, self.numbered(number + 1)) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let create = || openat(&self.directory, self.name, flags, Mode::from_raw_mode(0o644));
        let created = match create() {
            // The container has been faster.
            Err(Errno::EXIST) => {
                unlinkat(&self.directory, self.name, AtFlags::empty())?;
                create()
            }
            created => created,
        };
        let file = File::from(created?);
        fchmod(&file, Mode::from_raw_mode(0o644))?;
        chown(&file, self.owner)?;
        (self.file, self.length) = (file, 0);
        Ok(())
    }

    fn numbered(&self, number: u32) -> String {
        if number == 0 { self.name.to_owned() } else { format!("{}.{number}", self.name) }
    }
}

fn chown(file: &File, (user, group): (u32, u32)) -> io::Result<()> {
    use rustix::fs::{Gid, Uid};
    Ok(fchown(file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    fn log(directory: &Path, files: u32) -> Log {
        let rotation = Rotation { max_bytes: 4, files };
        Log::open(File::open(directory).unwrap().into(), "stdout", rotation).unwrap()
    }

    fn write(log: &mut Log, mut text: &[u8]) {
        while !text.is_empty() {
            let (_, most) = log.room(text.len());
            log.write(&text[..most]);
            text = &text[most..];
        }
    }

    fn read(directory: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> = entries
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| {
                let text = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text)
            })
            .collect();
        files.sort();
        files
    }

    fn files(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect()
    }

    #[test]
    fn older_ones_move_up_and_the_oldest_goes() {
        let top = tempfile::tempdir().unwrap();
        let mut log = log(top.path(), 2);
        write(&mut log, b"aaaabbbbccccdddde");
        let expected = [("stdout", "e"), ("stdout.1", "dddd"), ("stdout.2", "cccc")];
        assert_eq!(read(top.path()), files(&expected));
    }

    #[test]
    fn what_was_there_is_gone_on_with() {
        let top = tempfile::tempdir().unwrap();
        write(&mut log(top.path(), 1), b"ab");
        write(&mut log(top.path(), 1), b"cdef");
        assert_eq!(read(top.path()), files(&[("stdout", "ef"), ("stdout.1", "abcd")]));
    }

    #[test]
    fn without_predecessors_or_a_way_to_have_them_the_size_is_kept() {
        let top = tempfile::tempdir().unwrap();
        write(&mut log(top.path(), 0), b"aaaabb");
        assert_eq!(read(top.path()), files(&[("stdout", "bb")]));
        // A container could do that.
        let mut log = log(top.path(), 1);
        fs::create_dir_all(top.path().join("stdout.1/x")).unwrap();
        write(&mut log, b"bbccccd");
        assert_eq!(read(top.path()), files(&[("stdout", "d")]));
    }

    #[test]
    fn a_link_is_never_written_through() {
        let (top, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = outside.path().join("secret");
        fs::write(&secret, "untouched").unwrap();
        let mut log = log(top.path(), 1);
        fs::remove_file(top.path().join("stdout")).unwrap();
        symlink(&secret, top.path().join("stdout")).unwrap();
        write(&mut log, b"aaaabb");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "untouched");
        assert_eq!(read(top.path()), files(&[("stdout", "bb")]));
        fs::remove_file(top.path().join("stdout")).unwrap();
        symlink(&secret, top.path().join("stdout")).unwrap();
        let rotation = Rotation::default();
        assert!(Log::open(File::open(top.path()).unwrap().into(), "stdout", rotation).is_err());
    }
}
