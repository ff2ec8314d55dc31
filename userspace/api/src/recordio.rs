//! `RecordIO`: how streams of messages are framed. Each record is its length in ASCII decimals,
//! a line feed, and so many bytes.

/// The longest record that is read.
pub const MAX_RECORD: usize = 64 << 20;
/// Digits of the longest length.
const MAX_DIGITS: usize = 20;

/// Frames a record.
pub fn frame(record: &[u8]) -> Vec<u8> {
    let mut framed = record.len().to_string().into_bytes();
    framed.push(b'\n');
    framed.extend_from_slice(record);
    framed
}

/// What makes a stream no `RecordIO`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What should be a length is none.
    #[error("the length of a record is not 1 to 20 decimal digits and a line feed")]
    Length,
    /// A record is longer than [`MAX_RECORD`].
    #[error("a record of {0} bytes is longer than {MAX_RECORD}")]
    TooLong(u64),
}

/// Takes records out of a stream that comes in pieces.
#[derive(Debug, Default)]
pub struct Reader {
    pending: Vec<u8>,
}

impl Reader {
    /// Adds the next piece of the stream.
    pub fn push(&mut self, piece: &[u8]) {
        self.pending.extend_from_slice(piece);
    }

    /// The next record, if it is all there.
    ///
    /// # Errors
    /// [`Error`]: nothing that follows can be read then.
    pub fn next_record(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let digits = self.pending.iter().take(MAX_DIGITS + 1).position(|byte| *byte == b'\n');
        let Some(digits) = digits else {
            let plausible = self.pending.iter().all(u8::is_ascii_digit);
            let short = self.pending.len() <= MAX_DIGITS;
            return if plausible && short { Ok(None) } else { Err(Error::Length) };
        };
        let head = &self.pending[..digits];
        let text = std::str::from_utf8(head).ok().filter(|_| head.iter().all(u8::is_ascii_digit));
        let length: u64 = text.and_then(|text| text.parse().ok()).ok_or(Error::Length)?;
        let length = match usize::try_from(length) {
            Ok(length) if length <= MAX_RECORD => length,
            _ => return Err(Error::TooLong(length)),
        };
        let end = digits + 1 + length;
        if self.pending.len() < end {
            return Ok(None);
        }
        let rest = self.pending.split_off(end);
        let record = std::mem::replace(&mut self.pending, rest).split_off(digits + 1);
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_come_out_as_they_went_in_however_the_stream_is_cut(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            piece in 1_usize..50,
        ) {
            let stream: Vec<u8> = records.iter().flat_map(|record| frame(record)).collect();
            let mut reader = Reader::default();
            let mut read = Vec::new();
            for piece in stream.chunks(piece) {
                reader.push(piece);
                while let Some(record) = reader.next_record().unwrap() {
                    read.push(record);
                }
            }
            prop_assert_eq!(read, records);
        }
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for (stream, expected) in [
            ("x", Error::Length),
            ("\n", Error::Length),
            ("-1\nx", Error::Length),
            ("99999999999999999999999", Error::Length),
            ("99999999999999999999\n", Error::Length),
            ("4000000000\n", Error::TooLong(4_000_000_000)),
        ] {
            let mut reader = Reader::default();
            reader.push(stream.as_bytes());
            assert_eq!(reader.next_record(), Err(expected), "{stream:?}");
        }
    }
}
