//! Messages from JSON.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::{Map, Number, Value};

use crate::Error;
use crate::layout::{Field, Kind, Layout, Met, Rule};
use crate::wire::{push, put_bytes};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A JSON object as a message on the wire.
pub(super) fn message(layout: &Layout, value: &Value) -> Result<Vec<u8>, Error> {
    let Value::Object(object) = value else { return Err(Error::NoObject(name_of(value))) };
    let mut reader = Reader { path: String::new() };
    let mut out = Vec::new();
    reader.object(layout, object, &mut out)?;
    Ok(out)
}

/// Where in the message we are.
struct Reader {
    path: String,
}

impl Reader {
    fn object(
        &mut self,
        layout: &Layout,
        object: &Map<String, Value>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let mut met = Met::default();
        for (name, value) in object {
            let Some((position, field)) = layout.by_name(name) else { continue };
            if self.field(field, value, out)? {
                met.insert(position);
            }
        }
        match layout.missing(met) {
            Some(field) => Err(Error::Missing(self.inside(field, 0))),
            None => Ok(()),
        }
    }

    /// Whether the field is set then.
    fn field(&mut self, field: &Field, value: &Value, out: &mut Vec<u8>) -> Result<bool, Error> {
        match (field.rule, value) {
            (_, Value::Null) => Ok(false),
            (Rule::Map, Value::Object(entries)) => {
                let Kind::Message(entry) = field.kind else { return Ok(false) };
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.entry(field, entry, (index, key, value), out)?;
                }
                Ok(true)
            }
            (Rule::Map, other) => {
                Err(self.wrong(field, 0, &format!("an object is wanted, not {}", name_of(other))))
            }
            (Rule::Repeated, Value::Array(values)) => {
                for (index, value) in values.iter().enumerate() {
                    if !value.is_null() {
                        self.one(field, index, value, out)?;
                    }
                }
                Ok(true)
            }
            (_, value) => self.one(field, 0, value, out),
        }
    }

    /// An entry of a map: a message of a key and a value.
    fn entry(
        &mut self,
        field: &Field,
        entry: &Layout,
        (index, key, value): (usize, &str, &Value),
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let mut inner = Vec::new();
        let length = self.enter(field, index);
        for (number, value) in [(1, &Value::from(key)), (2, value)] {
            if let Some((_, field)) = entry.by_number(number) {
                self.field(field, value, &mut inner)?;
            }
        }
        self.path.truncate(length);
        put_bytes(field.number, &inner, out);
        Ok(())
    }

    /// One value of a field; false if it is as if it was not set.
    fn one(
        &mut self,
        field: &Field,
        index: usize,
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        match (field.kind, value) {
            (Kind::Message(layout), Value::Object(object)) => {
                let mut inner = Vec::new();
                let length = self.enter(field, index);
                self.object(layout, object, &mut inner)?;
                self.path.truncate(length);
                put_bytes(field.number, &inner, out);
            }
            (Kind::String, Value::String(text)) => put_bytes(field.number, text.as_bytes(), out),
            (Kind::Bytes, Value::String(text)) => {
                let bytes = BASE64
                    .decode(text)
                    .map_err(|error| self.wrong(field, index, &format!("no base64: {error}")))?;
                put_bytes(field.number, &bytes, out);
            }
            (Kind::Enum(names), Value::String(text)) => {
                match names.iter().find(|(name, _)| name == text) {
                    Some((_, number)) => put_integer(field, i64::from(*number), out),
                    None if field.rule == Rule::Required => {
                        let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
                        let problem = format!("{text:?} is not one of {}", known.join(", "));
                        return Err(self.wrong(field, index, &problem));
                    }
                    None => return Ok(false),
                }
            }
            (Kind::Bool, value) => match boolean(value) {
                Some(value) => put_integer(field, i64::from(value), out),
                None => return Err(self.unwanted(field, index, value)),
            },
            (Kind::Message(_) | Kind::String | Kind::Bytes | Kind::Enum(_), other) => {
                return Err(self.unwanted(field, index, other));
            }
            (_, value) => {
                if !put_number(field, value, out) {
                    return Err(self.unwanted(field, index, value));
                }
            }
        }
        Ok(true)
    }

    /// Goes into a field, and gives what the path has to be cut to afterwards.
    fn enter(&mut self, field: &Field, index: usize) -> usize {
        let length = self.path.len();
        push(&mut self.path, field, index);
        length
    }

    fn inside(&self, field: &Field, index: usize) -> String {
        let mut path = self.path.clone();
        push(&mut path, field, index);
        path
    }

    fn wrong(&self, field: &Field, index: usize, problem: &str) -> Error {
        Error::Field { path: self.inside(field, index), problem: problem.to_owned() }
    }

    fn unwanted(&self, field: &Field, index: usize, value: &Value) -> Error {
        let wanted = match field.kind {
            Kind::Message(_) => "an object",
            Kind::String => "a string",
            Kind::Bytes => "a string of base64",
            Kind::Enum(_) => "a name",
            Kind::Bool => "true or false",
            Kind::Double | Kind::Float => "a number",
            Kind::Uint32 | Kind::Fixed32 => "a whole number up to 4294967295",
            Kind::Uint64 | Kind::Fixed64 => "a whole number that is not negative",
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "a whole number of 32 bits",
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "a whole number",
        };
        let given = match value {
            Value::Number(_) | Value::String(_) => value.to_string(),
            other => name_of(other).to_owned(),
        };
        self.wrong(field, index, &format!("{wanted} is wanted, not {given}"))
    }
}

/// What a kind of JSON is called.
fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Puts a number, also one in a string; false if it is none that the field can hold.
fn put_number(field: &Field, value: &Value, out: &mut Vec<u8>) -> bool {
    let is_double = matches!(field.kind, Kind::Double | Kind::Float);
    let number = match value {
        Value::Number(number) => number.clone(),
        Value::String(text) if is_double && text == "Infinity" => {
            return put_double(field, f64::INFINITY, out);
        }
        Value::String(text) if is_double && text == "-Infinity" => {
            return put_double(field, f64::NEG_INFINITY, out);
        }
        Value::String(text) => match serde_json::from_str::<Number>(text) {
            Ok(number) => number,
            Err(_) => return false,
        },
        _ => return false,
    };
    if is_double {
        return number.as_f64().is_some_and(|number| put_double(field, number, out));
    }
    let Some(whole) = whole(&number) else { return false };
    let fits = match field.kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => i32::try_from(whole).is_ok(),
        Kind::Uint32 | Kind::Fixed32 => u32::try_from(whole).is_ok(),
        Kind::Uint64 | Kind::Fixed64 => u64::try_from(whole).is_ok(),
        _ => i64::try_from(whole).is_ok(),
    };
    if fits {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it fits, and unsigned numbers are the same bits"
        )]
        put_integer(field, whole as i64, out);
    }
    fits
}

/// A number without a fraction, also when it is written with a point.
fn whole(number: &Number) -> Option<i128> {
    if let Some(number) = number.as_i64() {
        return Some(number.into());
    }
    if let Some(number) = number.as_u64() {
        return Some(number.into());
    }
    #[expect(clippy::cast_possible_truncation, reason = "beyond is no number of 64 bits anyhow")]
    number.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i128)
}

#[expect(clippy::cast_possible_truncation, reason = "what the field asks for")]
fn put_double(field: &Field, number: f64, out: &mut Vec<u8>) -> bool {
    if matches!(field.kind, Kind::Float) {
        encode_key(field.number, WireType::ThirtyTwoBit, out);
        out.extend((number as f32).to_le_bytes());
    } else {
        encode_key(field.number, WireType::SixtyFourBit, out);
        out.extend(number.to_le_bytes());
    }
    true
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "that is how the wire format holds numbers"
)]
fn put_integer(field: &Field, number: i64, out: &mut Vec<u8>) {
    match field.kind {
        Kind::Fixed32 | Kind::Sfixed32 => {
            encode_key(field.number, WireType::ThirtyTwoBit, out);
            out.extend((number as u32).to_le_bytes());
        }
        Kind::Fixed64 | Kind::Sfixed64 => {
            encode_key(field.number, WireType::SixtyFourBit, out);
            out.extend(number.to_le_bytes());
        }
        Kind::Sint32 | Kind::Sint64 => {
            encode_key(field.number, WireType::Varint, out);
            encode_varint(((number << 1) ^ (number >> 63)) as u64, out);
        }
        _ => {
            encode_key(field.number, WireType::Varint, out);
            encode_varint(number as u64, out);
        }
    }
}
