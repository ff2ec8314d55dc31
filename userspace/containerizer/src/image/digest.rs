//! Content digests.

use std::fmt;
use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest in lower-case hexadecimal: the only algorithm in use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest(String);

impl Digest {
    /// Reads `sha256:<64 hexadecimal digits>`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        let valid = hex.len() == 64 && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| Self(hex.to_owned()))
    }

    /// The digest of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::finish(Sha256::new_with_prefix(bytes))
    }

    /// The digest of what `hasher` has seen.
    pub(crate) fn finish(hasher: Sha256) -> Self {
        Self(hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
            use fmt::Write as _;
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }))
    }

    /// The 64 digits: a file's name.
    pub(crate) fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

/// Counts and digests what is read through it.
pub(crate) struct Hashing<R> {
    source: R,
    hasher: Sha256,
    length: u64,
}

impl<R: Read> Hashing<R> {
    /// Nothing has been read yet.
    pub(crate) fn new(source: R) -> Self {
        Self { source, hasher: Sha256::new(), length: 0 }
    }

    /// Reads the rest; digest and length of everything.
    pub(crate) fn finish(mut self) -> io::Result<(Digest, u64)> {
        io::copy(&mut self, &mut io::sink())?;
        Ok((Digest::finish(self.hasher), self.length))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.length += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digests_what_was_read_and_what_was_not() {
        let mut hashing = Hashing::new(&b"abc"[..]);
        hashing.read_exact(&mut [0]).unwrap();
        assert_eq!(hashing.finish().unwrap(), (Digest::parse(ABC).unwrap(), 3));
    }

    #[test]
    fn takes_only_sha256_in_lower_case() {
        assert!(Digest::parse(&ABC.to_uppercase()).is_none());
        assert!(Digest::parse("sha256:../../etc/passwd").is_none());
        assert!(Digest::parse("sha512:00").is_none());
        assert_eq!(Digest::parse(ABC).unwrap().to_string(), ABC);
    }
}
