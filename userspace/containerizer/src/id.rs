//! Names of containers.
//!
//! A container that is in no other is known by its id alone, one that is nested in another by
//! that one's name, `/`, and its own id: no id holds a `/`, so that no two names are alike.

use crate::Error;

/// The longest id, as in Mesos.
const ID_MAX: usize = 242;
/// The longest name: its parts become parts of paths, which may have 4,096 bytes.
const NAME_MAX: usize = 1024;
/// How deep containers may be nested, as in Mesos: Linux nests no more pid namespaces.
const DEPTH_MAX: usize = 32;

/// The name of the container `id` that is nested in the one with the name `parent`.
#[must_use]
pub fn nested(parent: &str, id: &str) -> String {
    format!("{parent}/{id}")
}

/// The name of the container around the one with this name, and its own id.
#[must_use]
pub fn split(name: &str) -> (Option<&str>, &str) {
    match name.rsplit_once('/') {
        Some((parent, id)) => (Some(parent), id),
        None => (None, name),
    }
}

/// Whether `id` can be a container's: it becomes a directory and a cgroup.
#[must_use]
pub fn valid(id: &str) -> bool {
    (1..=ID_MAX).contains(&id.len())
        && !id.starts_with('.')
        && id.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'))
}

/// Whether every part of `name` can be an id.
pub(crate) fn valid_name(name: &str) -> bool {
    name.split('/').all(valid)
}

/// Checks an id and the name of the container around it.
pub(crate) fn validate(parent: Option<&str>, id: &str) -> Result<(), Error> {
    let refuse = |field, reason| Err(Error::Spec { field, reason });
    if !valid(id) {
        return refuse(
            "id",
            format!(
                "`{id}` is not 1 to {ID_MAX} letters, digits, `-`, `_` or `.` (no leading `.`)"
            ),
        );
    }
    let Some(parent) = parent else { return Ok(()) };
    if !valid_name(parent) {
        return refuse("parent", format!("`{parent}` is no container's name"));
    }
    if parent.split('/').count() >= DEPTH_MAX {
        return refuse("parent", format!("containers are nested at most {DEPTH_MAX} deep"));
    }
    if parent.len() + id.len() >= NAME_MAX {
        return refuse("parent", format!("with it the name has more than {NAME_MAX} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(parent: &str, id: &str) -> String {
        validate(Some(parent), id).unwrap_err().to_string()
    }

    #[test]
    fn names_are_paths_of_ids() {
        assert_eq!(split("a"), (None, "a"));
        assert_eq!(split(&nested("a/b", "c")), (Some("a/b"), "c"));
        assert!(valid_name("a/b.c/d") && !valid_name("a//b") && !valid_name("a/../b"));
        validate(Some("a/b"), "c").unwrap();
    }

    #[test]
    fn refuses_by_the_name_of_the_field() {
        for id in ["", "../x", ".x", "a/b", "a b"] {
            assert!(refused("a", id).starts_with("id: "), "{id}");
        }
        assert!(validate(None, &"x".repeat(ID_MAX + 1)).is_err());
        for parent in ["", "/", "a/", ".a"] {
            assert!(refused(parent, "b").starts_with("parent: "), "{parent}");
        }
        let depth = |count: usize| vec!["a"; count].join("/");
        validate(Some(&depth(31)), "b").unwrap();
        assert!(refused(&depth(32), "b").starts_with("parent: containers are nested at most 32"));
        let long = vec!["x".repeat(200); 5].join("/");
        assert!(refused(&long, &"x".repeat(100)).starts_with("parent: with it the name"));
    }
}
