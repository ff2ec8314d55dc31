//! Mistakes found in a document.

use std::cell::RefCell;

use serde_json::{Value, json};

/// What sort of mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The JSON type is wrong.
    Type,
    /// The value is not acceptable, or the field is not known.
    Value,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What sort it is.
    pub kind: Kind,
    /// Where it is: `/container/docker/image`, `/portDefinitions(0)/port`.
    pub path: String,
    /// What is wrong and what to do about it.
    pub error: String,
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub struct Problems {
    list: RefCell<Vec<Problem>>,
}

impl Problems {
    /// Notes a mistake.
    pub fn add(&self, kind: Kind, path: &str, error: impl Into<String>) {
        let path = if path.is_empty() { "/" } else { path }.to_owned();
        self.list.borrow_mut().push(Problem { kind, path, error: error.into() });
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }

    /// The mistakes in the order in which they were found.
    pub fn into_list(self) -> Vec<Problem> {
        self.list.into_inner()
    }

    /// The body of Marathon's answer: a message, and each path with its errors.
    pub fn into_json(self) -> Value {
        let list = self.into_list();
        let mistyped = list.iter().any(|problem| problem.kind == Kind::Type);
        let message = if mistyped { "Invalid JSON" } else { "Object is not valid" };
        let mut details: Vec<(String, Vec<String>)> = Vec::new();
        for Problem { path, error, .. } in list {
            match details.iter_mut().find(|(known, _)| *known == path) {
                Some((_, errors)) => errors.push(error),
                None => details.push((path, vec![error])),
            }
        }
        let details: Vec<_> = details
            .into_iter()
            .map(|(path, errors)| json!({ "path": path, "errors": errors }))
            .collect();
        json!({ "message": message, "details": details })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_one_path_are_together() {
        let problems = Problems::default();
        problems.add(Kind::Value, "/cpus", "a");
        problems.add(Kind::Value, "", "b");
        problems.add(Kind::Value, "/cpus", "c");
        assert_eq!(
            problems.into_json(),
            json!({
                "message": "Object is not valid",
                "details": [
                    {"path": "/cpus", "errors": ["a", "c"]},
                    {"path": "/", "errors": ["b"]},
                ],
            })
        );
    }
}
