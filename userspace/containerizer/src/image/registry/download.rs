//! One blob, from a registry to the shelf.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use ureq::Body;
use ureq::http::{Response, StatusCode};

use super::super::ImageError;
use super::super::digest::Digest;
use super::super::progress::Progress;
use super::session::Session;
use super::shelf::Shelf;

const BUFFER: usize = 128 << 10;
/// How often in a row it may bring nothing.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// A blob on its way.
struct Download<'a> {
    session: &'a Session,
    step: String,
    digest: &'a Digest,
    size: u64,
    /// Told of a layer; a config is not worth it.
    progress: Option<&'a Progress>,
    file: File,
    /// Of what is in the file.
    hasher: Sha256,
    length: u64,
}

/// Why a try has ended before the blob has.
enum Stop {
    /// Another try may go on where this one stopped.
    Broken(ImageError),
    /// It would end in the same way.
    Final(ImageError),
}

/// Downloads a blob unless it is there. What an earlier try left, of this process or of one
/// that was killed, is not downloaded again.
pub(crate) fn download(
    session: &Session,
    shelf: &Shelf,
    digest: &Digest,
    size: u64,
    progress: Option<&Progress>,
) -> Result<(), ImageError> {
    let step = format!("get blob {digest}");
    let disk = |error: io::Error| session.failed(&step, format!("write to the store: {error}"));
    let Some((path, file)) = shelf.partial(digest).map_err(disk)? else {
        // Somebody else's doing, meanwhile.
        progress.inspect(|progress| progress.add(size));
        return Ok(());
    };
    let (hasher, length) = (Sha256::new(), 0);
    let step_of = step.clone();
    let mut download =
        Download { session, step: step_of, digest, size, progress, file, hasher, length };
    download.read_back(&path).map_err(disk)?;
    let resumed = download.length > 0;
    download.complete()?;
    if !download.matches() {
        download.restart().map_err(disk)?;
        // What was there before may be to blame: once more, from the start.
        if resumed {
            download.complete()?;
        }
        if !resumed || !download.matches() {
            download.restart().map_err(disk)?;
            let reason = "what it gives has another digest: damaged in the registry or on the way";
            return Err(session.failed(&step, reason.into()));
        }
    }
    shelf.finish(digest, &path, &download.file).map_err(disk)
}

#[expect(clippy::disallowed_methods, reason = "on a thread that is for blocking")]
fn pause(idle: u32) {
    std::thread::sleep(PAUSE * 2_u32.pow(idle));
}

impl Download<'_> {
    /// Takes up what is there; if that is more than there can be, nothing of it.
    fn read_back(&mut self, path: &Path) -> io::Result<()> {
        if self.file.metadata()?.len() > self.size {
            return self.restart();
        }
        let mut source = File::open(path)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            match source.read(&mut buffer)? {
                0 => return Ok(()),
                read => self.count(&buffer[..read]),
            }
        }
    }

    fn restart(&mut self) -> io::Result<()> {
        self.progress.inspect(|progress| progress.take_back(self.length));
        (self.hasher, self.length) = (Sha256::new(), 0);
        self.file.set_len(0)
    }

    fn count(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        self.progress.inspect(|progress| progress.add(bytes.len() as u64));
    }

    fn matches(&self) -> bool {
        Digest::finish(self.hasher.clone()) == *self.digest
    }

    /// Tries until all is there, or until nothing comes any more.
    fn complete(&mut self) -> Result<(), ImageError> {
        let mut idle = 0;
        while self.length < self.size {
            let before = self.length;
            match self.attempt() {
                Ok(()) => {}
                Err(Stop::Final(error)) => return Err(error),
                Err(Stop::Broken(error)) => {
                    idle = if self.length > before { 0 } else { idle + 1 };
                    if idle == ATTEMPTS {
                        return Err(error);
                    }
                    tracing::warn!(%error, have = self.length, "going on with the download");
                    pause(idle);
                }
            }
        }
        Ok(())
    }

    fn attempt(&mut self) -> Result<(), Stop> {
        let range = format!("bytes={}-", self.length);
        let headers = [("range", range.as_str())];
        let headers = if self.length > 0 { &headers[..] } else { &[] };
        let path = format!("blobs/{}", self.digest);
        let answer = self.session.get(&self.step, &path, headers).map_err(Stop::Broken)?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => self.check_range(&answer)?,
            StatusCode::OK => self.restart().map_err(|error| self.disk(&error))?,
            status => {
                return Err(Stop::Final(self.session.refused(&self.step, status)));
            }
        }
        let mut body = answer.into_body().into_reader();
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = body.read(&mut buffer).map_err(|error| self.broken(&error.to_string()))?;
            if read == 0 {
                break;
            }
            if self.length + read as u64 > self.size {
                let reason = format!("it is longer than the manifest's {} bytes", self.size);
                return Err(Stop::Final(self.session.failed(&self.step, reason)));
            }
            self.file.write_all(&buffer[..read]).map_err(|error| self.disk(&error))?;
            self.count(&buffer[..read]);
        }
        if self.length < self.size { Err(self.broken("the connection ended")) } else { Ok(()) }
    }

    fn check_range(&self, answer: &Response<Body>) -> Result<(), Stop> {
        let given = answer.headers().get("content-range").and_then(|value| value.to_str().ok());
        let wanted = format!("bytes {}-", self.length);
        if given.is_some_and(|given| given.starts_with(&wanted)) {
            return Ok(());
        }
        let reason = format!("asked for `{wanted}` it gives `{}`", given.unwrap_or_default());
        Err(Stop::Final(self.session.failed(&self.step, reason)))
    }

    fn broken(&self, reason: &str) -> Stop {
        let reason = format!("{} of {} bytes: {reason}", self.length, self.size);
        Stop::Broken(self.session.failed(&self.step, reason))
    }

    fn disk(&self, error: &io::Error) -> Stop {
        Stop::Final(self.session.failed(&self.step, format!("write to the store: {error}")))
    }
}
