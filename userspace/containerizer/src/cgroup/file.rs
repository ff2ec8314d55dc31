//! The kernel's small files of text.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use crate::Error;
use crate::error::At;

/// More than most of these files have.
const BUFFER: usize = 4096;

/// The whole text. It is asked for often: of files without a size, so that there is nothing to
/// be learnt about them before they are read.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    let mut file = fs::File::open(path).at("open", path)?;
    let mut buffer = [0; BUFFER];
    let mut text = Vec::new();
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => text.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).at("read", path),
        }
    }
    String::from_utf8(text).map_err(io::Error::other).at("read", path)
}

/// Writes `text` in one call, as these files want it. Never makes a file.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(path).at("open", path)?;
    file.write_all(text.as_bytes()).at("write", path)
}

/// A file that holds one number; `max` is `None`.
pub(crate) fn number(path: &Path) -> Result<Option<u64>, Error> {
    let text = read(path)?;
    match text.trim() {
        "max" => Ok(None),
        digits => match digits.parse() {
            Ok(number) => Ok(Some(number)),
            Err(error) => Err(io::Error::other(error)).at("parse", path),
        },
    }
}

/// The same; `None` also for a file that is not there.
pub(crate) fn optional(path: &Path) -> Result<Option<u64>, Error> {
    match number(path) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        number => number,
    }
}

/// The number after `key` in a text of `key number` lines.
pub(crate) fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok())?
    })
}

/// The same, in microseconds, as seconds.
pub(crate) fn seconds(text: &str, key: &str) -> Option<f64> {
    field(text, key).map(micros)
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
pub(crate) fn micros(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_by_their_whole_name() {
        let text = "oom 1\noom_kill 2\nbad x\n";
        assert_eq!(field(text, "oom"), Some(1));
        assert_eq!(field(text, "oom_kill"), Some(2));
        assert_eq!(field(text, "oom_"), None);
        assert_eq!(field(text, "bad"), None);
        assert_eq!(seconds("user_usec 1500000\n", "user_usec"), Some(1.5));
    }

    #[test]
    fn numbers_or_no_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, expected) in [("12\n", Some(12)), ("max\n", None)] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(number(file.path()).unwrap(), expected);
        }
        fs::write(file.path(), "x").unwrap();
        assert!(number(file.path()).unwrap_err().to_string().contains("parse"));
    }
}
