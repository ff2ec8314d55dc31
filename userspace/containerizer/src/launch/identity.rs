//! Users and groups, as the container's own files define them.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The most that is read of /etc/passwd and /etc/group.
const FILE_MAX: u64 = 4 << 20;

/// Who a command runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// User.
    pub(super) uid: u32,
    /// Primary group.
    pub(super) gid: u32,
    /// Supplementary groups. The primary one is among them: a set-group-ID program must not
    /// be a way to be without it.
    pub(super) groups: Vec<u32>,
    /// Home directory.
    pub(super) home: String,
}

struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl Identity {
    /// Looks `user` up in this process' root filesystem.
    pub(super) fn find(user: &str) -> Result<Self, String> {
        Self::resolve(user, &text("/etc/passwd")?, &text("/etc/group")?)
    }

    /// Docker's rules for `user[:group]`, each a name or a number; empty is root. A number
    /// need not be in the files. A group given replaces all of the user's.
    fn resolve(given: &str, passwd: &str, group: &str) -> Result<Self, String> {
        let (user, group_given) = match given.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (given, None),
        };
        let user = if user.is_empty() { "0" } else { user };
        let number = user.parse::<u32>().ok();
        let known = passwd
            .lines()
            .filter_map(user_line)
            .find(|known| known.name == user || number == Some(known.uid));
        let (name, uid, gid, home) = match (known, number) {
            (Some(known), _) => (Some(known.name), known.uid, known.gid, known.home),
            (None, Some(uid)) => (None, uid, 0, "/"),
            (None, None) => return Err(format!("user `{user}` is not in /etc/passwd")),
        };
        let home = if home.is_empty() { "/" } else { home }.to_owned();
        if let Some(wanted) = group_given {
            let gid = group
                .lines()
                .filter_map(group_line)
                .find(|(name, ..)| *name == wanted)
                .map(|(_, gid, _)| gid)
                .or_else(|| wanted.parse().ok())
                .ok_or_else(|| format!("group `{wanted}` is not in /etc/group"))?;
            return Ok(Self { uid, gid, groups: vec![gid], home });
        }
        let mut groups: Vec<u32> = group
            .lines()
            .filter_map(group_line)
            .filter(|(.., members)| name.is_some_and(|name| members.split(',').any(|m| m == name)))
            .map(|(_, gid, _)| gid)
            .collect();
        if !groups.contains(&gid) {
            groups.insert(0, gid);
        }
        Ok(Self { uid, gid, groups, home })
    }
}

/// `name:password:uid:gid:comment:home:shell`
fn user_line(line: &str) -> Option<User<'_>> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(User { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
}

/// `name:password:gid:members`
fn group_line(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let gid = fields.nth(1)?.parse().ok()?;
    Some((name, gid, fields.next().unwrap_or_default()))
}

/// An image's file; empty if it has none. Whatever it is, reading it neither blocks nor
/// fills memory.
fn text(path: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("read {path}: {error}");
    let path = Path::new(path);
    let file = match File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        file => file.map_err(failed)?,
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(format!("read {}: not a file", path.display()));
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
# a comment
www:x:33:34:www:/var/www:/bin/false
nohome:x:40:41
";
    const GROUP: &str = "root:x:0:\nadm:x:4:www,other\nwww:x:34:\ndisk:x:6:root\n33:x:99:\n";

    fn resolve(given: &str) -> Identity {
        Identity::resolve(given, PASSWD, GROUP).unwrap()
    }

    fn identity(uid: u32, gid: u32, groups: &[u32], home: &str) -> Identity {
        Identity { uid, gid, groups: groups.to_vec(), home: home.into() }
    }

    #[test]
    fn names_numbers_and_nothing() {
        assert_eq!(resolve(""), identity(0, 0, &[0, 6], "/root"));
        assert_eq!(resolve("www"), identity(33, 34, &[34, 4], "/var/www"));
        assert_eq!(resolve("33"), identity(33, 34, &[34, 4], "/var/www"));
        assert_eq!(resolve("1234"), identity(1234, 0, &[0], "/"));
        assert_eq!(resolve("nohome"), identity(40, 41, &[41], "/"));
    }

    #[test]
    fn a_group_given_is_the_only_one() {
        assert_eq!(resolve("www:adm"), identity(33, 4, &[4], "/var/www"));
        assert_eq!(resolve("www:77"), identity(33, 77, &[77], "/var/www"));
        assert_eq!(resolve("7:8"), identity(7, 8, &[8], "/"));
        assert_eq!(resolve(":adm"), identity(0, 4, &[4], "/root"));
        assert_eq!(resolve("www:33"), identity(33, 99, &[99], "/var/www"));
    }

    #[test]
    fn unknown_names_are_named() {
        let error = Identity::resolve("bob", PASSWD, GROUP).unwrap_err();
        assert!(error.contains("`bob` is not in /etc/passwd"), "{error}");
        let error = Identity::resolve("www:staff", PASSWD, GROUP).unwrap_err();
        assert!(error.contains("`staff` is not in /etc/group"), "{error}");
    }
}
