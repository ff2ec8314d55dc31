//! Protobuf's wire format, field by field, without knowing the type.

mod complete;

use std::fmt::Write as _;

use prost::bytes::Buf as _;
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};
use prost::{Message, Name};

use crate::Error;
use crate::layout::{Field, Kind, Layout, Met, Rule};

/// Reads a message, and asks for the fields that proto2 requires, as Mesos does.
///
/// # Errors
/// [`Error::Protobuf`]; [`Error::Missing`].
pub fn decode<M: Message + Name + Default>(bytes: &[u8]) -> Result<M, Error> {
    let message = M::decode(bytes)?;
    check(Layout::of::<M>()?, bytes, &mut String::new())?;
    Ok(message)
}

/// Writes a message so that every reader takes it.
///
/// Prost leaves a value out of a map when it is the default one, and other readers then miss
/// what is required in it: `limits { key: "cpus" value { value: 0 } }` would be refused by
/// Mesos' own.
///
/// # Errors
/// [`Error::Unknown`], for types that are not generated here.
pub fn encode<M: Message + Name>(message: &M) -> Result<Vec<u8>, Error> {
    let bytes = message.encode_to_vec();
    let mut out = Vec::with_capacity(bytes.len());
    complete::message(Layout::of::<M>()?, &bytes, &mut out)?;
    Ok(out)
}

/// A value as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Raw<'a> {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

/// Takes the next field from the front of `rest`: its number and value; `None` at the end.
pub(crate) fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<(u32, Raw<'a>)>, Error> {
    while !rest.is_empty() {
        let (number, wire) = decode_key(rest)?;
        match wire {
            WireType::StartGroup | WireType::EndGroup => {
                skip_field(wire, number, rest, DecodeContext::default())?;
            }
            _ => return Ok(Some((number, value(wire, rest)?))),
        }
    }
    Ok(None)
}

/// Takes the next element of a packed field from the front of `rest`.
pub(crate) fn next_packed<'a>(kind: Kind, rest: &mut &'a [u8]) -> Result<Option<Raw<'a>>, Error> {
    let wire = match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::SixtyFourBit,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::ThirtyTwoBit,
        _ => WireType::Varint,
    };
    if rest.is_empty() { Ok(None) } else { value(wire, rest).map(Some) }
}

fn value<'a>(wire: WireType, rest: &mut &'a [u8]) -> Result<Raw<'a>, Error> {
    Ok(match wire {
        WireType::Varint => Raw::Varint(decode_varint(rest)?),
        WireType::SixtyFourBit => {
            Raw::Fixed64(rest.try_get_u64_le().map_err(|_| Error::Truncated)?)
        }
        WireType::ThirtyTwoBit => {
            Raw::Fixed32(rest.try_get_u32_le().map_err(|_| Error::Truncated)?)
        }
        _ => {
            let length = usize::try_from(decode_varint(rest)?).unwrap_or(usize::MAX);
            let (bytes, after) = rest.split_at_checked(length).ok_or(Error::Truncated)?;
            *rest = after;
            Raw::Bytes(bytes)
        }
    })
}

/// Asks for the required fields of a message that prost has read.
fn check(layout: &Layout, bytes: &[u8], path: &mut String) -> Result<(), Error> {
    let mut rest = bytes;
    let mut met = Met::default();
    let mut counts = [0_usize; 128];
    while let Some((number, raw)) = next(&mut rest)? {
        let Some((position, field)) = layout.by_number(number) else { continue };
        if is_unknown_number(field, raw) {
            // To proto2 the field is not set then.
            continue;
        }
        met.insert(position);
        if let (Kind::Message(inner), Raw::Bytes(bytes)) = (field.kind, raw) {
            let length = path.len();
            push(path, field, counts[position]);
            check(inner, bytes, path)?;
            path.truncate(length);
        }
        counts[position] += 1;
    }
    match layout.missing(met) {
        Some(field) => {
            push(path, field, 0);
            Err(Error::Missing(std::mem::take(path)))
        }
        None => Ok(()),
    }
}

fn is_unknown_number(field: &Field, raw: Raw<'_>) -> bool {
    match (field.kind, raw) {
        #[expect(clippy::cast_possible_truncation, reason = "as the wire format has it")]
        (Kind::Enum(names), Raw::Varint(number)) => {
            !names.iter().any(|(_, known)| *known == number as i32)
        }
        _ => false,
    }
}

/// What a field is that is required and not on the wire: zero, empty, the first of an enum.
pub(crate) fn zero(kind: Kind) -> Raw<'static> {
    match kind {
        Kind::Message(_) | Kind::String | Kind::Bytes => Raw::Bytes(&[]),
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Raw::Fixed64(0),
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Raw::Fixed32(0),
        Kind::Enum([(_, first), ..]) => Raw::Varint(u64::try_from(*first).unwrap_or_default()),
        _ => Raw::Varint(0),
    }
}

/// Writes a field of bytes, text or a message.
pub(crate) fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Adds a field to a path, with its place if it is repeated.
pub(crate) fn push(path: &mut String, field: &Field, index: usize) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(field.name);
    if matches!(field.rule, Rule::Repeated | Rule::Map) {
        // Writing to a string does not fail.
        let _ = write!(path, "[{index}]");
    }
}
