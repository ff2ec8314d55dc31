//! Writes the tables that `src/layout.rs` describes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// Most fields that a message may have: those that were met are bits of one number.
const MOST: usize = 128;

/// All messages and enums, by full name with a dot in front, as fields name them.
#[derive(Default)]
struct Types<'a> {
    messages: BTreeMap<String, &'a DescriptorProto>,
    enums: BTreeMap<String, &'a EnumDescriptorProto>,
}

impl<'a> Types<'a> {
    fn add(&mut self, scope: &str, message: &'a DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested);
        }
        for nested in &message.enum_type {
            self.enums.insert(format!("{name}.{}", nested.name()), nested);
        }
        self.messages.insert(name, message);
    }

    /// Names of the generated statics: unique, and like nothing else.
    fn message(&self, name: &str) -> Result<String, String> {
        let position = self.messages.keys().position(|known| known == name);
        Ok(format!("M{}", position.ok_or_else(|| format!("unknown message {name}"))?))
    }

    fn enumeration(&self, name: &str) -> Result<String, String> {
        let position = self.enums.keys().position(|known| known == name);
        Ok(format!("E{}", position.ok_or_else(|| format!("unknown enum {name}"))?))
    }

    fn is_map_entry(&self, field: &FieldDescriptorProto) -> bool {
        self.messages
            .get(field.type_name())
            .and_then(|message| message.options.as_ref())
            .is_some_and(prost_types::MessageOptions::map_entry)
    }

    fn field(&self, field: &FieldDescriptorProto) -> Result<String, String> {
        let rule = match field.label() {
            Label::Required => "Required",
            Label::Repeated if self.is_map_entry(field) => "Map",
            Label::Repeated => "Repeated",
            Label::Optional => "Optional",
        };
        let kind = match field.r#type() {
            Type::Message => format!("Message(&{})", self.message(field.type_name())?),
            Type::Enum => format!("Enum({})", self.enumeration(field.type_name())?),
            Type::Group => return Err(format!("field {} is a group", field.name())),
            other => format!("{other:?}"),
        };
        let preset = match preset(field)? {
            Some(preset) => format!("Some(Preset::{preset})"),
            None => "None".to_owned(),
        };
        Ok(format!(
            "Field {{ number: {}, name: {:?}, kind: Kind::{kind}, rule: Rule::{rule}, preset: {preset} }}",
            field.number(),
            field.name(),
        ))
    }
}

/// What the JSON form says of a field that is not set: its default, if the definition has
/// one and does not deprecate the field.
fn preset(field: &FieldDescriptorProto) -> Result<Option<String>, String> {
    let deprecated = field.options.as_ref().is_some_and(prost_types::FieldOptions::deprecated);
    let Some(text) = field.default_value.as_deref().filter(|_| !deprecated) else {
        return Ok(None);
    };
    let bad = || format!("field {} has the default {text:?}", field.name());
    Ok(Some(match field.r#type() {
        Type::Bool => format!("Bool({text})"),
        Type::Double | Type::Float => {
            format!("Number({:?})", text.parse::<f64>().map_err(|_| bad())?)
        }
        Type::String | Type::Enum => format!("Text({text:?})"),
        Type::Bytes | Type::Message | Type::Group => return Err(bad()),
        _ => format!("Integer({})", text.parse::<i64>().map_err(|_| bad())?),
    }))
}

/// The tables as Rust.
pub(crate) fn generate(descriptors: &FileDescriptorSet) -> Result<String, String> {
    let mut types = Types::default();
    for file in &descriptors.file {
        let package = format!(".{}", file.package());
        for message in &file.message_type {
            types.add(&package, message);
        }
        for nested in &file.enum_type {
            types.enums.insert(format!("{package}.{}", nested.name()), nested);
        }
    }
    let mut code = String::new();
    let mut line = |text: String| writeln!(code, "{text}").map_err(|error| error.to_string());
    for (name, definition) in &types.enums {
        let values: Vec<String> = definition
            .value
            .iter()
            .map(|value| format!("({:?}, {})", value.name(), value.number()))
            .collect();
        line(format!(
            "static {}: &[(&str, i32)] = &[{}];",
            types.enumeration(name)?,
            values.join(", ")
        ))?;
    }
    for (name, message) in &types.messages {
        if message.field.len() > MOST {
            return Err(format!("message {name} has more than {MOST} fields"));
        }
        let mut fields: Vec<&FieldDescriptorProto> = message.field.iter().collect();
        fields.sort_by_key(|field| field.number());
        let fields: Result<Vec<String>, String> =
            fields.into_iter().map(|field| types.field(field)).collect();
        line(format!(
            "static {}: Layout = Layout {{ fields: &[{}] }};",
            types.message(name)?,
            fields?.join(", ")
        ))?;
    }
    let names: Result<Vec<String>, String> = types
        .messages
        .keys()
        .map(|name| Ok(format!("({:?}, &{})", &name[1..], types.message(name)?)))
        .collect();
    line(format!("static LAYOUTS: &[(&str, &Layout)] = &[{}];", names?.join(", ")))?;
    Ok(code)
}
