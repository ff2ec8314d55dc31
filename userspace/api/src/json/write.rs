//! Messages to JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::{Message, Name};
use serde::ser::{Error as _, SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use super::Json;
use crate::Error;
use crate::layout::{Field, Kind, Layout, Met, Preset, Rule};
use crate::wire::{self, Raw};

impl<M: Message + Name> Serialize for Json<'_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let layout = Layout::of::<M>().map_err(S::Error::custom)?;
        // Prost writes fields by number, and what is repeated without others in between.
        Node { layout, bytes: &self.0.encode_to_vec() }.serialize(serializer)
    }
}

/// A message on the wire.
struct Node<'a> {
    layout: &'static Layout,
    bytes: &'a [u8],
}

/// All occurrences of a repeated field.
struct Elements<'a> {
    field: &'static Field,
    bytes: &'a [u8],
}

/// One value.
struct Element<'a>(Kind, Raw<'a>);

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut met = Met::default();
        let mut rest = self.bytes;
        loop {
            let start = rest;
            let Some((number, raw)) = wire::next(&mut rest).map_err(S::Error::custom)? else {
                break;
            };
            let Some((position, field)) = self.layout.by_number(number) else { continue };
            met.insert(position);
            if matches!(field.rule, Rule::Optional | Rule::Required) {
                map.serialize_entry(field.name, &Element(field.kind, raw))?;
                continue;
            }
            let mut ahead = rest;
            while let Some((next, _)) = wire::next(&mut ahead).map_err(S::Error::custom)?
                && next == number
            {
                rest = ahead;
            }
            let bytes = &start[..start.len() - rest.len()];
            map.serialize_entry(field.name, &Elements { field, bytes })?;
        }
        for (position, field) in self.layout.fields.iter().enumerate() {
            if met.contains(position) {
                continue;
            }
            if let Some(preset) = &field.preset {
                map.serialize_entry(field.name, preset)?;
            } else if field.rule == Rule::Required {
                map.serialize_entry(field.name, &Element(field.kind, wire::zero(field.kind)))?;
            }
        }
        map.end()
    }
}

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rest = self.bytes;
        if self.field.rule == Rule::Map {
            let mut map = serializer.serialize_map(None)?;
            while let Some((_, raw)) = wire::next(&mut rest).map_err(S::Error::custom)? {
                let (Kind::Message(entry), Raw::Bytes(bytes)) = (self.field.kind, raw) else {
                    return Err(S::Error::custom("a map without entries"));
                };
                let (key, value) = split(entry, bytes).map_err(S::Error::custom)?;
                map.serialize_key(&key)?;
                match value {
                    Some(value) => map.serialize_value(&value)?,
                    None => return Err(S::Error::custom("an entry of a map without a value")),
                }
            }
            return map.end();
        }
        let mut list = serializer.serialize_seq(None)?;
        while let Some((_, raw)) = wire::next(&mut rest).map_err(S::Error::custom)? {
            match (self.field.kind, raw) {
                (Kind::String | Kind::Bytes | Kind::Message(_), _) => {
                    list.serialize_element(&Element(self.field.kind, raw))?;
                }
                (kind, Raw::Bytes(mut packed)) => {
                    while let Some(raw) =
                        wire::next_packed(kind, &mut packed).map_err(S::Error::custom)?
                    {
                        list.serialize_element(&Element(kind, raw))?;
                    }
                }
                (kind, raw) => list.serialize_element(&Element(kind, raw))?,
            }
        }
        list.end()
    }
}

/// Key and value of an entry of a map; what is the default is not on the wire.
fn split<'a>(entry: &Layout, bytes: &'a [u8]) -> Result<(String, Option<Element<'a>>), Error> {
    let (mut key, mut value) = (String::new(), None);
    let mut rest = bytes;
    while let Some((number, raw)) = wire::next(&mut rest)? {
        let Some((_, field)) = entry.by_number(number) else { continue };
        match (number, raw) {
            (1, Raw::Bytes(text)) => key = String::from_utf8_lossy(text).into_owned(),
            (1, raw) => {
                key = serde_json::to_string(&Element(field.kind, raw)).unwrap_or_default();
            }
            _ => value = Some(Element(field.kind, raw)),
        }
    }
    let default = entry.by_number(2).map(|(_, field)| Element(field.kind, wire::zero(field.kind)));
    Ok((key, value.or(default)))
}

impl Serialize for Element<'_> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "that is how the wire format holds numbers"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.0, self.1) {
            (Kind::Message(layout), Raw::Bytes(bytes)) => {
                Node { layout, bytes }.serialize(serializer)
            }
            (Kind::String, Raw::Bytes(bytes)) => {
                serializer.serialize_str(str::from_utf8(bytes).map_err(S::Error::custom)?)
            }
            (Kind::Bytes, Raw::Bytes(bytes)) => serializer.serialize_str(&STANDARD.encode(bytes)),
            (Kind::Enum(names), Raw::Varint(number)) => {
                match names.iter().find(|(_, known)| *known == number as i32) {
                    Some((name, _)) => serializer.serialize_str(name),
                    None => serializer.serialize_i32(number as i32),
                }
            }
            (Kind::Bool, Raw::Varint(number)) => serializer.serialize_bool(number != 0),
            (Kind::Int32 | Kind::Int64, Raw::Varint(number)) => {
                serializer.serialize_i64(number as i64)
            }
            (Kind::Uint32 | Kind::Uint64, Raw::Varint(number))
            | (Kind::Fixed64, Raw::Fixed64(number)) => serializer.serialize_u64(number),
            (Kind::Sint32 | Kind::Sint64, Raw::Varint(number)) => {
                serializer.serialize_i64((number >> 1) as i64 ^ -((number & 1) as i64))
            }
            (Kind::Double, Raw::Fixed64(bits)) => double(f64::from_bits(bits), serializer),
            (Kind::Float, Raw::Fixed32(bits)) => {
                double(f64::from(f32::from_bits(bits)), serializer)
            }
            (Kind::Sfixed64, Raw::Fixed64(number)) => serializer.serialize_i64(number as i64),
            (Kind::Fixed32, Raw::Fixed32(number)) => serializer.serialize_u32(number),
            (Kind::Sfixed32, Raw::Fixed32(number)) => serializer.serialize_i32(number as i32),
            _ => Err(S::Error::custom("a value of another wire type than its field")),
        }
    }
}

fn double<S: Serializer>(number: f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.is_finite() {
        serializer.serialize_f64(number)
    } else if number.is_nan() {
        serializer.serialize_str("NaN")
    } else {
        serializer.serialize_str(if number > 0.0 { "Infinity" } else { "-Infinity" })
    }
}

impl Serialize for Preset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Bool(value) => serializer.serialize_bool(value),
            Self::Integer(value) => serializer.serialize_i64(value),
            Self::Number(value) => double(value, serializer),
            Self::Text(value) => serializer.serialize_str(value),
        }
    }
}
