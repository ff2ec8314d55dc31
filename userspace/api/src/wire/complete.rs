//! Puts back what prost leaves out of maps.

use prost::encoding::{WireType, encode_key, encode_varint};

use super::{Raw, next, put_bytes, zero};
use crate::Error;
use crate::layout::{Field, Kind, Layout, Met, Rule};

/// Copies a message, with all that is required.
pub(super) fn message(layout: &Layout, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    fields(layout, bytes, out, |field| field.rule == Rule::Required)
}

/// Copies a message; of the fields that are not there, those that are wanted are added.
fn fields(
    layout: &Layout,
    bytes: &[u8],
    out: &mut Vec<u8>,
    wanted: fn(&Field) -> bool,
) -> Result<(), Error> {
    let mut met = Met::default();
    let mut rest = bytes;
    loop {
        let start = rest;
        let Some((number, raw)) = next(&mut rest)? else { break };
        let known = layout.by_number(number);
        match (known, raw) {
            (Some((_, Field { kind: Kind::Message(inner), rule, .. })), Raw::Bytes(bytes)) => {
                let mut copy = Vec::with_capacity(bytes.len());
                if *rule == Rule::Map {
                    // An entry has both its key and its value.
                    fields(inner, bytes, &mut copy, |_| true)?;
                } else {
                    message(inner, bytes, &mut copy)?;
                }
                put_bytes(number, &copy, out);
            }
            _ => out.extend_from_slice(&start[..start.len() - rest.len()]),
        }
        if let Some((position, _)) = known {
            met.insert(position);
        }
    }
    for (position, field) in layout.fields.iter().enumerate() {
        if met.contains(position) || !wanted(field) {
            continue;
        }
        match (zero(field.kind), field.kind) {
            (_, Kind::Message(inner)) => {
                let mut empty = Vec::new();
                message(inner, &[], &mut empty)?;
                put_bytes(field.number, &empty, out);
            }
            (Raw::Bytes(bytes), _) => put_bytes(field.number, bytes, out),
            (Raw::Varint(number), _) => {
                encode_key(field.number, WireType::Varint, out);
                encode_varint(number, out);
            }
            (Raw::Fixed64(bits), _) => {
                encode_key(field.number, WireType::SixtyFourBit, out);
                out.extend(bits.to_le_bytes());
            }
            (Raw::Fixed32(bits), _) => {
                encode_key(field.number, WireType::ThirtyTwoBit, out);
                out.extend(bits.to_le_bytes());
            }
        }
    }
    Ok(())
}
