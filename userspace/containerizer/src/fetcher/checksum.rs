//! What a file has to be: its digest, given with its URI.

use sha2::{Digest, Sha256, Sha512};

/// A digest that a file must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checksum {
    algorithm: Algorithm,
    /// In lower case.
    hex: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha512,
}

/// A digest in the making.
pub(super) enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Checksum {
    /// Takes a fragment `#sha256=<64 hex digits>` or `#sha512=<128>` off a URI: what remains,
    /// and the digest. Any other fragment is part of the URI.
    ///
    /// # Errors
    /// What is wrong with such a fragment.
    pub(super) fn split(uri: &str) -> Result<(&str, Option<Self>), String> {
        let Some((rest, fragment)) = uri.rsplit_once('#') else { return Ok((uri, None)) };
        let Some((name, hex)) = fragment.split_once('=') else { return Ok((uri, None)) };
        let (algorithm, digits) = match name {
            "sha256" => (Algorithm::Sha256, 64),
            "sha512" => (Algorithm::Sha512, 128),
            _ => return Ok((uri, None)),
        };
        if hex.len() != digits || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(format!("#{name}= must be followed by {digits} hexadecimal digits"));
        }
        Ok((rest, Some(Self { algorithm, hex: hex.to_ascii_lowercase() })))
    }

    /// Begins to compute one of this kind.
    pub(super) fn hasher(&self) -> Hasher {
        match self.algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }

    /// Whether it is the one that `hasher` has come to.
    ///
    /// # Errors
    /// Both, if it is not.
    pub(super) fn check(&self, hasher: Hasher) -> Result<(), String> {
        let (name, found) = match hasher {
            Hasher::Sha256(hasher) => ("sha256", hex(&hasher.finalize())),
            Hasher::Sha512(hasher) => ("sha512", hex(&hasher.finalize())),
        };
        if found == self.hex {
            return Ok(());
        }
        Err(format!("its {name} is {found} instead of {}", self.hex))
    }
}

impl Hasher {
    /// Goes on with these bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `abc`, from FIPS 180-2.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_is_taken_off_and_compared() {
        let uri = format!("http://h/f#x#sha256={}", ABC.to_uppercase());
        let (rest, checksum) = Checksum::split(&uri).unwrap();
        assert_eq!(rest, "http://h/f#x");
        let checksum = checksum.unwrap();
        let mut hasher = checksum.hasher();
        hasher.update(b"abc");
        checksum.check(hasher).unwrap();
        let error = checksum.check(checksum.hasher()).unwrap_err();
        assert!(error.contains(ABC) && error.contains("e3b0c442"), "{error}");
    }

    #[test]
    fn other_fragments_are_left_alone_and_damaged_ones_refused() {
        for uri in ["http://h/f", "/a#b", "/a#md5=00", "http://h/f#sha256"] {
            assert_eq!(Checksum::split(uri).unwrap(), (uri, None));
        }
        for uri in ["/a#sha256=00", &format!("/a#sha256={}x", &ABC[1..]), "/a#sha512="] {
            assert!(Checksum::split(uri).unwrap_err().contains("hexadecimal"), "{uri}");
        }
    }
}
