//! Messages as JSON, by Mesos' rules, which are older than protobuf's own:
//!
//! - fields have the names of the definition; enums are written by name, bytes in base64, 64-bit
//!   integers as numbers, maps as objects;
//! - what is not set is left out, except for optional fields that have a default in the
//!   definition and are not deprecated: they are written with it;
//! - fields that are not known are ignored, and `null` is the same as not set;
//! - numbers and booleans may be given as strings, and one value for a list of one;
//! - an unknown name of an enum is as if the field was not set;
//! - a required field that is not set is an error.
//!
//! Doubles that are not finite are written as strings, `"Infinity"`, `"-Infinity"` and `"NaN"`:
//! Mesos writes them bare, which is no JSON.

mod read;
mod write;

use prost::{Message, Name};
use serde_json::Value;

use crate::Error;
use crate::layout::Layout;

/// A message that is written as JSON when it is serialized.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a, M>(pub &'a M);

/// Reads a message from JSON.
///
/// # Errors
/// [`Error::NoObject`], [`Error::Field`] and [`Error::Missing`], with the path of the field.
pub fn from_value<M: Message + Name + Default>(value: &Value) -> Result<M, Error> {
    let bytes = read::message(Layout::of::<M>()?, value)?;
    Ok(M::decode(bytes.as_slice())?)
}

/// Reads a message from JSON text.
///
/// # Errors
/// [`Error::Json`]; those of [`from_value`].
pub fn from_slice<M: Message + Name + Default>(text: &[u8]) -> Result<M, Error> {
    from_value(&serde_json::from_slice(text)?)
}

/// Reads messages from the text of a JSON array.
///
/// # Errors
/// Those of [`from_slice`], and [`Error::NoArray`]; paths begin with the number in the array:
/// `[0].weight`.
pub fn list<M: Message + Name + Default>(text: &[u8]) -> Result<Vec<M>, Error> {
    let value: Value = serde_json::from_slice(text)?;
    let Value::Array(values) = value else { return Err(Error::NoArray) };
    let read = |(index, value)| from_value(value).map_err(|error| error.inside(index));
    values.iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests;
