//! What is known of the fields of each message, from the definitions in `proto/`.
//!
//! The build writes one [`Layout`] a message; everything that goes over a message without
//! knowing its type goes by it.

use prost::Name;

use crate::Error;

/// A message.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Its fields, by number.
    pub(crate) fields: &'static [Field],
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) rule: Rule,
    /// Its default, if the definition has one and does not deprecate the field.
    pub(crate) preset: Option<Preset>,
}

/// How often a field is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Optional,
    Required,
    Repeated,
    /// Repeated entries of a key, number 1, and a value, number 2.
    Map,
}

/// What a field holds, by protobuf's names.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "which of them there are depends on the definitions")]
pub(crate) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    /// The names of its numbers.
    Enum(&'static [(&'static str, i32)]),
    Message(&'static Layout),
}

/// A default.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "which of them there are depends on the definitions")]
pub(crate) enum Preset {
    Bool(bool),
    Integer(i64),
    Number(f64),
    /// Text, or the name of an enum's number.
    Text(&'static str),
}

/// Which fields of a message were met, by position.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Met(u128);

impl Met {
    pub(crate) fn insert(&mut self, position: usize) {
        self.0 |= 1 << position;
    }

    pub(crate) fn contains(self, position: usize) -> bool {
        self.0 & (1 << position) != 0
    }
}

impl Layout {
    /// The layout of a type of message.
    ///
    /// # Errors
    /// [`Error::Unknown`] for types that are not generated here.
    pub(crate) fn of<M: Name>() -> Result<&'static Self, Error> {
        let name = M::full_name();
        LAYOUTS
            .binary_search_by(|(known, _)| (*known).cmp(name.as_str()))
            .map(|position| LAYOUTS[position].1)
            .map_err(|_| Error::Unknown(name))
    }

    /// The field of a number, and its position.
    pub(crate) fn by_number(&self, number: u32) -> Option<(usize, &'static Field)> {
        let position = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
        Some((position, &self.fields[position]))
    }

    /// The field of a name, and its position.
    pub(crate) fn by_name(&self, name: &str) -> Option<(usize, &'static Field)> {
        self.fields.iter().enumerate().find(|(_, field)| field.name == name)
    }

    /// The first required field that was not met.
    pub(crate) fn missing(&self, met: Met) -> Option<&'static Field> {
        let mut fields = self.fields.iter().enumerate();
        let missing = |(position, field): &(usize, &Field)| {
            field.rule == Rule::Required && !met.contains(*position)
        };
        fields.find(missing).map(|(_, field)| field)
    }
}

include!(concat!(env!("OUT_DIR"), "/layouts.rs"));
