//! Who a task is to a registry, by Docker's files in its sandbox.
//!
//! The classic way of Mesos and Marathon: an archive with `.docker/config.json` among the files to
//! fetch; `.dockercfg` is the form from before Docker 1.7.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use muster_containerizer::{Credentials, Registries};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};

/// More is no such file.
const SIZE_MAX: u64 = 1 << 20;

/// Who the task is to a registry; `None` if the sandbox has no such file, or that has none. An
/// error tells nothing of what is in there.
pub(super) fn of_task(sandbox: &Path, registry: &str) -> Result<Option<Credentials>, String> {
    for (name, old) in [(".docker/config.json", false), (".dockercfg", true)] {
        let failed = |reason: String| format!("{name} of the sandbox: {reason}");
        let Some(text) = read(sandbox, name).map_err(|error| failed(error.to_string()))? else {
            continue;
        };
        // The older one has at its top what the newer one has in there.
        let config = Some(if old { format!("{{\"auths\": {text}}}") } else { text });
        let found = Registries { config, ..Registries::default() }.credentials(registry);
        return found.map_err(failed);
    }
    Ok(None)
}

/// A file of the sandbox. An archive may have put links there: they could lead to what is the
/// machine's, and are not followed (openat2(2), Linux 5.6).
fn read(sandbox: &Path, name: &str) -> io::Result<Option<String>> {
    let directory = File::open(sandbox)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = match openat2(&directory, name, flags, Mode::empty(), resolve) {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("is no file"));
    }
    let mut text = String::new();
    File::from(file).take(SIZE_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > SIZE_MAX {
        return Err(io::Error::other("has more than 1 MB"));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// u:p
    const OLD: &str = r#"{"https://r.example:5000/v1/": {"auth": "dTpw", "email": ""}}"#;

    fn parts(user: &str, password: &str) -> (String, String) {
        (user.to_owned(), password.to_owned())
    }

    #[test]
    fn both_forms_are_read_the_newer_first() {
        let sandbox = tempfile::tempdir().unwrap();
        let of = |registry| of_task(sandbox.path(), registry).map(|of| of?.password());
        assert_eq!(of("r.example:5000"), Ok(None));
        fs::write(sandbox.path().join(".dockercfg"), OLD).unwrap();
        assert_eq!(of("r.example:5000"), Ok(Some(parts("u", "p"))));
        assert_eq!(of("other.example"), Ok(None));
        fs::create_dir(sandbox.path().join(".docker")).unwrap();
        let new = r#"{"auths": {"r.example:5000": {"username": "v", "password": "q"}}}"#;
        fs::write(sandbox.path().join(".docker/config.json"), new).unwrap();
        assert_eq!(of("r.example:5000"), Ok(Some(parts("v", "q"))));
    }

    #[test]
    fn a_file_that_makes_no_sense_is_named_and_not_shown() {
        let sandbox = tempfile::tempdir().unwrap();
        fs::write(sandbox.path().join(".dockercfg"), "secret").unwrap();
        let error = of_task(sandbox.path(), "r.example").unwrap_err();
        assert!(error.starts_with(".dockercfg of the sandbox: line 1"), "{error}");
        assert!(!error.contains("secret"), "{error}");
        fs::write(sandbox.path().join(".dockercfg"), vec![b' '; (1 << 20) + 1]).unwrap();
        let error = of_task(sandbox.path(), "r.example").unwrap_err();
        assert!(error.contains("more than 1 MB"), "{error}");
    }

    #[test]
    fn no_link_leads_to_what_is_the_machines() {
        let (sandbox, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(home.path().join(".docker")).unwrap();
        fs::write(home.path().join(".docker/config.json"), r#"{"auths": {}}"#).unwrap();
        symlink(home.path().join(".docker"), sandbox.path().join(".docker")).unwrap();
        assert!(of_task(sandbox.path(), "r.example").is_err());
        fs::remove_file(sandbox.path().join(".docker")).unwrap();
        symlink(home.path().join(".docker/config.json"), sandbox.path().join(".dockercfg"))
            .unwrap();
        assert!(of_task(sandbox.path(), "r.example").is_err());
    }
}
