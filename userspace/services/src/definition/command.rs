//! What is run: `cmd`, `args`, `env`, and the texts they are made of.

use std::collections::BTreeMap;

use super::unsupported::refuse_secret;
use crate::reader::{Field, Object};

/// A string that can be passed to a program: not empty, no NUL.
pub(super) fn text(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    if text.is_empty() {
        field.refuse("must not be an empty string");
        return None;
    }
    without_nul(field, text)
}

/// The field `name` as such a string, which has to be there.
pub(super) fn required(object: &mut Object<'_>, name: &'static str) -> Option<String> {
    let Some(field) = object.field(name) else {
        object.refuse(name, "is missing");
        return None;
    };
    text(&field)
}

fn without_nul(field: &Field<'_>, text: &str) -> Option<String> {
    if text.contains('\0') {
        field.refuse("must not contain NUL characters");
        return None;
    }
    Some(text.to_owned())
}

/// `cmd` and `args`.
pub(super) fn read(
    object: &mut Object<'_>,
    has_container: bool,
) -> Option<(Option<String>, Vec<String>)> {
    let mut valid = true;
    let mut cmd = None;
    if let Some(field) = object.field("cmd") {
        cmd = text(&field);
        valid &= cmd.is_some();
    }
    let mut args = Vec::new();
    if let Some(field) = object.field("args") {
        for element in field.array()? {
            match element.string().and_then(|arg| without_nul(&element, arg)) {
                Some(arg) => args.push(arg),
                None => valid = false,
            }
        }
    }
    if !valid {
        return None;
    }
    if cmd.is_some() && !args.is_empty() {
        object.refuse("args", "must not be given together with 'cmd'");
        return None;
    }
    if cmd.is_none() && args.is_empty() && !has_container {
        object.refuse(
            "",
            "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.",
        );
        return None;
    }
    Some((cmd, args))
}

/// An object of strings, as labels are.
pub(super) fn strings(
    object: &mut Object<'_>,
    name: &'static str,
) -> Option<BTreeMap<String, String>> {
    let Some(field) = object.field(name) else { return Some(BTreeMap::new()) };
    let mut strings = BTreeMap::new();
    for (key, value) in field.object()?.entries() {
        if let Some(text) = value.string() {
            strings.insert(key.to_owned(), text.to_owned());
        }
    }
    Some(strings)
}

/// `env`.
pub(super) fn env(object: &mut Object<'_>) -> Option<BTreeMap<String, String>> {
    let Some(field) = object.field("env") else { return Some(BTreeMap::new()) };
    let mut env = BTreeMap::new();
    for (name, value) in field.object()?.entries() {
        if name.is_empty() || name.contains(['=', '\0']) {
            value.refuse("is no name of an environment variable");
        } else if value.value().is_object() {
            refuse_secret(&value, "give the value as a string");
        } else if let Some(text) = value.string().and_then(|text| without_nul(&value, text)) {
            env.insert(name.to_owned(), text);
        }
    }
    Some(env)
}
