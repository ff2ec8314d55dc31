//! One file, from where it is to a file of ours.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ureq::http::header::CONTENT_LENGTH;

use super::cancel::Cancel;
use super::uri::{Item, Source};
use super::{Fetching, Problem, Progress};
use crate::web;

const BUFFER: usize = 128 << 10;

/// A file that can be read.
pub(super) struct Origin {
    reader: Box<dyn Read>,
    /// Its length, if it is known.
    pub(super) length: Option<u64>,
    /// Its permissions, if it has any.
    pub(super) mode: u32,
}

/// How downloads are done.
pub(super) struct Client<'a> {
    pub(super) settings: &'a Fetching,
    /// A file with those who may vouch for servers.
    pub(super) certificates: Option<&'a Path>,
    /// Is told what has come.
    pub(super) progress: &'a Progress,
}

impl Client<'_> {
    /// Finds the file.
    pub(super) fn open(&self, source: &Source) -> Result<Origin, Problem> {
        match source {
            Source::Web { url, secure } => self.web(url, *secure),
            Source::File(path) => local(path),
        }
    }

    fn web(&self, url: &str, secure: bool) -> Result<Origin, Problem> {
        let silence = self.settings.stall_timeout;
        let client = web::client(secure, silence, self.certificates)?;
        let answer = client.get(url).call().map_err(|error| self.explain(&error.into_io()))?;
        if !answer.status().is_success() {
            return Err(format!("the server answers {}", answer.status()).into());
        }
        let length = answer.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let reader = Box::new(answer.into_body().into_reader());
        Ok(Origin { reader, length, mode: 0o644 })
    }

    /// Reads all of it, in pieces of which `take` makes something.
    pub(super) fn transfer(
        &self,
        item: &Item,
        mut origin: Origin,
        cancel: &Cancel,
        mut take: impl FnMut(&[u8]) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut hasher = item.checksum.as_ref().map(super::checksum::Checksum::hasher);
        let mut buffer = vec![0; BUFFER];
        let mut length = 0;
        self.progress.expect(origin.length);
        loop {
            let read = match origin.reader.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|error| self.explain(&error))?,
            };
            cancel.check().map_err(|error| error.to_string())?;
            if read == 0 {
                break;
            }
            length += read as u64;
            self.progress.add(read as u64);
            if let Some(hasher) = &mut hasher {
                hasher.update(&buffer[..read]);
            }
            take(&buffer[..read])?;
        }
        if let Some(expected) = origin.length
            && expected != length
        {
            return Err(format!("it ended after {length} of {expected} bytes").into());
        }
        if let Some((checksum, hasher)) = item.checksum.as_ref().zip(hasher) {
            checksum.check(hasher)?;
        }
        Ok(())
    }

    /// A failure to read, with the flag that it comes from.
    fn explain(&self, error: &io::Error) -> Problem {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        if !matches!(cause, Some(ureq::Error::Timeout(_))) {
            return error.to_string().into();
        }
        let seconds = self.settings.stall_timeout.as_secs_f64();
        format!("nothing has come for {seconds} s (--fetcher-stall-timeout): {error}").into()
    }
}

/// A file of this machine. What is opened must not wait: it could be a FIFO.
fn local(path: &Path) -> Result<Origin, Problem> {
    use std::os::unix::fs::PermissionsExt as _;
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let opened = opened.and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = opened.map_err(|error| format!("open {}: {error}", path.display()))?;
    if !metadata.is_file() {
        return Err(format!("{} is not a file", path.display()).into());
    }
    // As copied by cp: what others must not write stays so.
    let mode = metadata.permissions().mode() & 0o755 | 0o600;
    // It may grow meanwhile, and is what it was by then.
    Ok(Origin { reader: Box::new(file), length: None, mode })
}

/// Writes a piece.
pub(super) fn write(file: &mut File, bytes: &[u8]) -> Result<(), Problem> {
    file.write_all(bytes).map_err(|error| format!("write: {error}").into())
}
