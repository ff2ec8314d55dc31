//! Reading JSON that a person wrote: every mistake is noted with its path, and reading
//! goes on, so that one answer names them all.

mod problems;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub use problems::{Kind, Problem, Problems};

/// A value and where it is.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    value: &'a Value,
    path: String,
    problems: &'a Problems,
}

/// An object whose fields are taken one by one; [`Object::finish`] refuses the rest.
#[derive(Debug)]
pub struct Object<'a> {
    map: &'a Map<String, Value>,
    path: String,
    problems: &'a Problems,
    known: BTreeSet<&'static str>,
}

impl<'a> Field<'a> {
    /// The whole document.
    pub fn root(value: &'a Value, problems: &'a Problems) -> Self {
        Self::at(value, String::new(), problems)
    }

    /// The value at `path`.
    pub fn at(value: &'a Value, path: String, problems: &'a Problems) -> Self {
        Self { value, path, problems }
    }

    /// The value itself.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Notes that the value is not acceptable.
    pub fn refuse(&self, error: impl Into<String>) {
        self.problems.add(Kind::Value, &self.path, error);
    }

    fn mistyped<T>(&self, expected: &str) -> Option<T> {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        self.problems.add(Kind::Type, &self.path, format!("must be {expected}, not {found}"));
        None
    }

    /// The value as a string.
    pub fn string(&self) -> Option<&'a str> {
        self.value.as_str().or_else(|| self.mistyped("a string"))
    }

    /// The value as `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.mistyped("a boolean"))
    }

    /// The value as a number of at least `min` and at most `max`.
    pub fn number(&self, min: f64, max: f64) -> Option<f64> {
        let number = self.value.as_f64().or_else(|| self.mistyped("a number"))?;
        if number < min {
            self.refuse(format!("must be at least {min}, got {number}"));
            return None;
        }
        if number > max {
            self.refuse(format!("must be at most {max}, got {number}"));
            return None;
        }
        Some(number)
    }

    /// The value as a whole number of at least `min` and at most `max`.
    pub fn integer(&self, min: u32, max: u32) -> Option<u32> {
        let number = self.number(min.into(), max.into())?;
        if number.fract() != 0.0 {
            self.refuse(format!("must be a whole number, got {number}"));
            return None;
        }
        // In range and whole, so this neither truncates nor loses the sign.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        Some(number as u32)
    }

    /// The value as an object.
    pub fn object(&self) -> Option<Object<'a>> {
        let map = self.value.as_object().or_else(|| self.mistyped("an object"))?;
        Some(Object {
            map,
            path: self.path.clone(),
            problems: self.problems,
            known: BTreeSet::new(),
        })
    }

    /// The value's elements, as `path(0)`, `path(1)`, …
    pub fn array(&self) -> Option<Vec<Self>> {
        let array = self.value.as_array().or_else(|| self.mistyped("an array"))?;
        let element =
            |(index, value)| Self::at(value, format!("{}({index})", self.path), self.problems);
        Some(array.iter().enumerate().map(element).collect())
    }
}

impl<'a> Object<'a> {
    /// The field called `name`; `None` when it is absent or null.
    pub fn field(&mut self, name: &'static str) -> Option<Field<'a>> {
        self.known.insert(name);
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        Some(self.child(name, value))
    }

    /// Lets fields be there without looking at them.
    pub fn ignore(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    /// All entries, for objects whose keys are the user's.
    pub fn entries(&self) -> Vec<(&'a str, Field<'a>)> {
        self.map.iter().map(|(key, value)| (key.as_str(), self.child(key, value))).collect()
    }

    /// Notes something about a field that need not be there.
    pub fn refuse(&self, name: &str, error: impl Into<String>) {
        self.problems.add(Kind::Value, &format!("{}/{name}", self.path), error);
    }

    /// Refuses every field that was not asked for.
    pub fn finish(self) {
        for (key, value) in self.map {
            if !self.known.contains(key.as_str()) {
                self.child(key, value).refuse("is not a known field");
            }
        }
    }

    fn child(&self, name: &str, value: &'a Value) -> Field<'a> {
        Field::at(value, format!("{}/{name}", self.path), self.problems)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_mistake_is_named() {
        let document = json!({"a": [1, "x", 2.5, 70000], "b": null, "c": {"d": true}, "e": 1});
        let problems = Problems::default();
        let mut object = Field::root(&document, &problems).object().unwrap();
        let numbers: Vec<_> = object
            .field("a")
            .and_then(|a| a.array())
            .unwrap()
            .iter()
            .map(|element| element.integer(0, 65535))
            .collect();
        assert_eq!(numbers, [Some(1), None, None, None]);
        assert!(object.field("b").is_none());
        assert!(
            object.field("c").unwrap().object().unwrap().field("d").unwrap().string().is_none()
        );
        object.finish();
        let found: Vec<_> = problems.into_list().into_iter().map(|p| (p.path, p.error)).collect();
        assert_eq!(
            found,
            [
                ("/a(1)".into(), "must be a number, not a string".into()),
                ("/a(2)".into(), "must be a whole number, got 2.5".into()),
                ("/a(3)".into(), "must be at most 65535, got 70000".into()),
                ("/c/d".into(), "must be a string, not a boolean".into()),
                ("/e".into(), "is not a known field".into()),
            ] as [(String, String); 5]
        );
    }
}
