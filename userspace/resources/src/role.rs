//! Roles: who resources are for. `a/b` is a subrole of `a`; `*` is everybody.

use crate::Problem;

/// Whether a text can be a role: parts between slashes that are not empty, `.`, `..` or
/// `*`, do not start with `-` and hold no white space or control characters. Alone, `*` can.
///
/// # Errors
/// [`Problem::Role`] with the rule that is broken.
pub fn validate(role: &str) -> Result<(), Problem> {
    let bad = |reason| Err(Problem::Role { role: role.to_owned(), reason });
    if role == "*" {
        return Ok(());
    }
    if role.is_empty() {
        return bad("it is empty");
    }
    for part in role.split('/') {
        if part.is_empty() {
            return bad("it starts or ends with a slash, or has two in a row");
        }
        if matches!(part, "." | "..") {
            return bad("a part of it is a dot or two");
        }
        if part == "*" {
            return bad("a part of it is a star");
        }
        if part.starts_with('-') {
            return bad("a part of it starts with a dash");
        }
        if part.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return bad("it has white space or a control character");
        }
    }
    Ok(())
}

/// Whether `role` is below `ancestor`: `a/b/c` is below `a/b` and `a`, and not below itself.
pub fn is_strict_subrole_of(role: &str, ancestor: &str) -> bool {
    role.strip_prefix(ancestor).is_some_and(|rest| rest.starts_with('/'))
}

/// The roles above a role, nearest first: `a/b`, `a` for `a/b/c`.
pub fn ancestors(role: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(role), |role| parent(role))
}

fn parent(role: &str) -> Option<&str> {
    role.rsplit_once('/').map(|(parent, _)| parent)
}

/// The first part of a role: `a` of `a/b/c`.
pub fn top(role: &str) -> &str {
    role.split('/').next().unwrap_or(role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validate_roles() {
        for role in [
            "foo",
            "123",
            "foo_123",
            "*",
            "foo-bar",
            "foo.bar",
            "foo..bar",
            "...",
            "foo/bar",
            "foo/.bar",
            "a/b/c/d/e/f/g/h",
        ] {
            assert_eq!(validate(role), Ok(()), "{role}");
        }
        for role in [
            "",
            ".",
            "..",
            "-foo",
            "/",
            "/foo",
            "foo/",
            "foo//bar",
            "foo/bar/",
            "foo bar",
            "foo\tbar",
            "foo\nbar",
            "./.",
            "../..",
            "./foo",
            "foo/.",
            "foo/..",
            "foo/./bar",
            "foo/-bar",
            "foo/*",
            "foo/*/bar",
            "*/foo",
        ] {
            assert!(validate(role).is_err(), "{role}");
        }
    }

    #[test]
    fn ancestors_of_roles() {
        assert_eq!(ancestors("a/b/c/d").collect::<Vec<_>>(), ["a/b/c", "a/b", "a"]);
        assert_eq!(ancestors("a").count(), 0);
        assert_eq!(top("a/b/c"), "a");
    }

    #[test]
    fn strict_subroles() {
        assert!(is_strict_subrole_of("foo/bar", "foo"));
        assert!(!is_strict_subrole_of("foobar", "foo"));
        assert!(!is_strict_subrole_of("foo", "foo"));
        assert!(!is_strict_subrole_of("foo", "foo/bar"));
    }
}
