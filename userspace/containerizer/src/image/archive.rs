//! Reading tar archives: ustar with the extensions of pax and GNU.
//!
//! Headers are the `tar` crate's. Its reader is not used, because it takes a line feed in a
//! pax record for the record's end: file capabilities are binary and may hold one.

use std::io::{self, Read};

use rustix::fs::Timespec;
use tar::{EntryType, Header};

const BLOCK: u64 = 512;
/// The most that extensions of one entry may take.
const EXTENSION_MAX: u64 = 1 << 20;

/// An archive that is read from start to end.
pub(crate) struct Archive<R> {
    source: R,
    /// Bytes of the current entry that have not been read.
    data: u64,
    /// Bytes to the next header after that.
    padding: u64,
}

/// One entry, without its data.
pub(crate) struct Member {
    header: Header,
    /// What it is.
    pub(crate) kind: EntryType,
    /// Its path, as written.
    pub(crate) path: Vec<u8>,
    /// The target of a link; empty otherwise.
    pub(crate) link: Vec<u8>,
    /// User.
    pub(crate) uid: u64,
    /// Group.
    pub(crate) gid: u64,
    /// Permissions, set-ID and sticky bits.
    pub(crate) mode: u32,
    /// When it was modified.
    pub(crate) modified: Timespec,
    /// Extended attributes.
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What precedes an entry's header and overrides it.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    modified: Option<Timespec>,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: Read> Archive<R> {
    /// The archive that `source` gives.
    pub(crate) fn new(source: R) -> Self {
        Self { source, data: 0, padding: 0 }
    }

    /// The next entry. What was not read of the one before is skipped.
    pub(crate) fn next(&mut self) -> io::Result<Option<Member>> {
        let mut extensions = Extensions::default();
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            let kind = header.entry_type();
            let size = match extensions.size.take() {
                Some(size) if !is_extension(kind) => size,
                _ => number(header.entry_size(), &header.as_old().size)?,
            };
            self.data = size;
            self.padding = size.wrapping_neg() % BLOCK;
            match kind {
                EntryType::GNULongName => extensions.path = Some(self.name()?),
                EntryType::GNULongLink => extensions.link = Some(self.name()?),
                EntryType::XHeader => {
                    let records = self.extension()?;
                    extensions.add(&records).ok_or_else(|| invalid("a damaged pax header"))?;
                }
                EntryType::XGlobalHeader => {}
                _ => return extensions.apply(header, kind).map(Some),
            }
        }
    }

    /// The next header block; `None` at the archive's end. The two empty blocks there, and what
    /// fills up the block of the last file, may be missing, as some writers leave them out.
    fn header(&mut self) -> io::Result<Option<Header>> {
        if skip(&mut self.source, self.data)? != self.data {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let filled = skip(&mut self.source, self.padding)? == self.padding;
        (self.data, self.padding) = (0, 0);
        let mut header = Header::new_old();
        let mut block = Vec::new();
        if filled {
            self.source.by_ref().take(BLOCK).read_to_end(&mut block)?;
        }
        if block.is_empty() {
            return Ok(None);
        }
        if block.len() != header.as_bytes().len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        header.as_mut_bytes().copy_from_slice(&block);
        let bytes = header.as_bytes();
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let outside = |(at, byte): (usize, &u8)| match at {
            148..156 => u32::from(b' '),
            _ => u32::from(*byte),
        };
        let sum: u32 = bytes.iter().enumerate().map(outside).sum();
        match header.cksum() {
            Ok(expected) if expected == sum => Ok(Some(header)),
            _ => Err(invalid("a header with a wrong check sum: not a tar archive, or damaged")),
        }
    }

    fn extension(&mut self) -> io::Result<Vec<u8>> {
        if self.data > EXTENSION_MAX {
            return Err(invalid("an extension header of more than 1 MB"));
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// A GNU long name: it ends with a NUL.
    fn name(&mut self) -> io::Result<Vec<u8>> {
        let mut name = self.extension()?;
        name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
        Ok(name)
    }
}

/// Reads over so many bytes of `source`, or up to its end, and says how many they were.
fn skip(source: &mut impl Read, bytes: u64) -> io::Result<u64> {
    io::copy(&mut source.take(bytes), &mut io::sink())
}

/// The data of the current entry.
impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.data).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        match self.source.read(buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.data -= read as u64;
                Ok(read)
            }
        }
    }
}

impl Member {
    /// Whether it is a file with data.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.kind, EntryType::Regular | EntryType::Continuous)
    }

    /// Major and minor number of a device.
    pub(crate) fn device(&self) -> io::Result<(u32, u32)> {
        let numbers = (self.header.device_major()?, self.header.device_minor()?);
        match numbers {
            (Some(major), Some(minor)) => Ok((major, minor)),
            _ => Err(invalid("a device without a number")),
        }
    }
}

impl Extensions {
    /// Adds pax records, `<length> <key>=<value>\n` each; `None` if they are none.
    fn add(&mut self, mut records: &[u8]) -> Option<()> {
        // Some writers fill the block up.
        while records.first().is_some_and(|byte| *byte != 0) {
            let space = records.iter().position(|byte| *byte == b' ')?;
            let length: usize = text(&records[..space])?.parse().ok()?;
            let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
            records = &records[length..];
            let equals = record.iter().position(|byte| *byte == b'=')?;
            self.set(&record[..equals], &record[equals + 1..])?;
        }
        Some(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let digits = || text(value)?.parse::<u64>().ok();
        // No value takes back what an earlier record said.
        let some = !value.is_empty();
        match key {
            b"path" => self.path = some.then(|| value.to_vec()),
            b"linkpath" => self.link = some.then(|| value.to_vec()),
            b"size" if some => self.size = Some(digits()?),
            b"uid" if some => self.uid = Some(digits()?),
            b"gid" if some => self.gid = Some(digits()?),
            b"mtime" if some => self.modified = Some(time(text(value)?)?),
            _ if key.starts_with(b"GNU.sparse.") => return None,
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.attributes.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Some(())
    }

    fn apply(self, header: Header, kind: EntryType) -> io::Result<Member> {
        let old = header.as_old();
        let seconds = number(header.mtime(), &old.mtime)?;
        let whole = Timespec { tv_sec: i64::try_from(seconds).unwrap_or(i64::MAX), tv_nsec: 0 };
        Ok(Member {
            kind,
            path: self.path.unwrap_or_else(|| header.path_bytes().into_owned()),
            link: self.link.unwrap_or_else(|| {
                header.link_name_bytes().map_or_else(Vec::new, std::borrow::Cow::into_owned)
            }),
            uid: self.uid.map_or_else(|| number(header.uid(), &old.uid), Ok)?,
            gid: self.gid.map_or_else(|| number(header.gid(), &old.gid), Ok)?,
            mode: number(header.mode(), &old.mode)? & 0o7777,
            modified: self.modified.unwrap_or(whole),
            attributes: self.attributes,
            header,
        })
    }
}

fn is_extension(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::GNULongName
            | EntryType::GNULongLink
            | EntryType::XHeader
            | EntryType::XGlobalHeader
    )
}

/// A numeric field; a blank one is 0, as others have it.
fn number<T: Default>(parsed: io::Result<T>, field: &[u8]) -> io::Result<T> {
    if field.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Ok(T::default());
    }
    parsed
}

/// `1700000000.123456789`, as pax headers have it.
fn time(text: &str) -> Option<Timespec> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.get(..fraction.len().min(9))?;
    let tv_nsec = if digits.is_empty() { 0 } else { format!("{digits:0<9}").parse().ok()? };
    Some(Timespec { tv_sec: seconds.parse().ok()?, tv_nsec })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
        let mut length = rest.len();
        while length != rest.len() + length.to_string().len() {
            length = rest.len() + length.to_string().len();
        }
        [length.to_string().as_bytes(), &rest].concat()
    }

    #[test]
    fn pax_records_override_the_header() {
        let name = "x".repeat(300);
        let mut builder = tar::Builder::new(Vec::new());
        let records = [
            record("path", name.as_bytes()),
            record("uid", b"4000000000"),
            record("mtime", b"12.5"),
            record("SCHILY.xattr.security.capability", b"\n=\0\n"),
            record("comment", b"none"),
        ]
        .concat();
        for (kind, path, data) in
            [(EntryType::XHeader, "pax", &records[..]), (EntryType::Regular, "short", b"data")]
        {
            let mut header = Header::new_ustar();
            header.set_path(path).unwrap();
            header.set_entry_type(kind);
            header.set_size(data.len() as u64);
            header.set_mode(0o600);
            header.set_cksum();
            builder.append(&header, data).unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        let mut archive = Archive::new(bytes.as_slice());
        let member = archive.next().unwrap().unwrap();
        assert_eq!(member.path, name.as_bytes());
        assert_eq!((member.uid, member.gid, member.mode), (4_000_000_000, 0, 0o600));
        assert_eq!((member.modified.tv_sec, member.modified.tv_nsec), (12, 500_000_000));
        assert_eq!(member.attributes, [(b"security.capability".to_vec(), b"\n=\0\n".to_vec())]);
        let mut data = String::new();
        archive.read_to_string(&mut data).unwrap();
        assert_eq!(data, "data");
        assert!(archive.next().unwrap().is_none());
    }

    #[test]
    fn long_names_in_gnus_way() {
        let (path, link) = ("p".repeat(200), "l".repeat(200));
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, &path, &link).unwrap();
        let bytes = builder.into_inner().unwrap();
        let member = Archive::new(bytes.as_slice()).next().unwrap().unwrap();
        assert_eq!((member.path, member.link), (path.into_bytes(), link.into_bytes()));
    }

    #[test]
    fn what_fills_up_the_end_may_be_missing_and_nothing_else() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(3);
        header.set_cksum();
        builder.append_data(&mut header, "a", &b"abc"[..]).unwrap();
        let bytes = builder.into_inner().unwrap();
        let read = |length: usize| -> io::Result<String> {
            let mut archive = Archive::new(&bytes[..length]);
            let mut text = String::new();
            while archive.next()?.is_some() {
                archive.read_to_string(&mut text)?;
            }
            Ok(text)
        };
        for length in [515, 700, 1024, 1536, 2048] {
            assert_eq!(read(length).unwrap(), "abc", "{length}");
        }
        for length in [100, 511, 512, 514, 1025, 1535] {
            assert_eq!(read(length).unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{length}");
        }
    }

    #[test]
    fn sparse_and_damaged_records_are_refused() {
        for records in [
            record("GNU.sparse.major", b"1"),
            b"5 a=b\n".to_vec(),
            b"999 a=b\n".to_vec(),
            b"x a=b\n".to_vec(),
            b"4 a\n".to_vec(),
            record("size", b"-1"),
        ] {
            let shown = records.escape_ascii().to_string();
            assert!(Extensions::default().add(&records).is_none(), "{shown}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Damage anywhere is an error or a different entry, never a panic or a hang.
        #[test]
        fn damage_is_survived(at in 0_usize..4096, byte: u8, length in 0_usize..4096) {
            let mut builder = tar::Builder::new(Vec::new());
            builder.append_pax_extensions([("path", &b"long"[..]), ("size", b"600")]).unwrap();
            let mut header = Header::new_gnu();
            header.set_size(600);
            header.set_cksum();
            builder.append(&header, &[7; 600][..]).unwrap();
            let mut bytes = builder.into_inner().unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(length.max(1));
            let mut archive = Archive::new(bytes.as_slice());
            while let Ok(Some(_)) = archive.next() {
                if io::copy(&mut archive, &mut io::sink()).is_err() {
                    break;
                }
            }
        }
    }
}
