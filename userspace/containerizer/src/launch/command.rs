//! Finding and executing a command.

use std::convert::Infallible;
use std::ffi::CString;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::execve;

use crate::SetupError;

/// Executes `argv` with the variables `environment`. A program without a slash is searched
/// for in the directories of its `PATH`. Returns only if that fails.
pub(super) fn execute(
    argv: &[String],
    environment: &[(String, String)],
) -> Result<Infallible, SetupError> {
    let name = argv.first().map(String::as_str).unwrap_or_default();
    let failed = |reason: String, errno: Errno| SetupError {
        step: format!("exec {name}"),
        reason,
        errno: Some(errno as i32),
    };
    let c = |text: String| {
        CString::new(text).map_err(|_| failed("a NUL character".into(), Errno::EINVAL))
    };
    let arguments = argv.iter().map(|arg| c(arg.clone())).collect::<Result<Vec<_>, _>>()?;
    let variables = environment
        .iter()
        .map(|(name, value)| c(format!("{name}={value}")))
        .collect::<Result<Vec<_>, _>>()?;
    let path = environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str());
    let mut denied = false;
    for candidate in candidates(name, path.unwrap_or_default()) {
        let Err(errno) = execve(&c(candidate.clone())?, &arguments, &variables);
        match errno {
            Errno::ENOENT if Path::new(&candidate).exists() => {
                let reason = format!("{candidate}: its interpreter or dynamic loader is missing");
                return Err(failed(reason, errno));
            }
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => denied = true,
            Errno::ENOEXEC => {
                let reason = format!("{candidate}: neither a program of this machine nor a script");
                return Err(failed(reason, errno));
            }
            other => return Err(failed(format!("{candidate}: {}", other.desc()), other)),
        }
    }
    if denied {
        return Err(failed("permission denied".into(), Errno::EACCES));
    }
    let place = match path {
        _ if name.contains('/') => String::new(),
        Some(path) => format!(" in PATH={path}"),
        None => " without a PATH".into(),
    };
    Err(failed(format!("command not found{place}"), Errno::ENOENT))
}

/// Where `name` may be.
fn candidates(name: &str, path: &str) -> Vec<String> {
    if name.contains('/') {
        return vec![name.to_owned()];
    }
    path.split(':')
        .map(|directory| match directory {
            "" => format!("./{name}"),
            _ => format!("{}/{name}", directory.trim_end_matches('/')),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_by_path() {
        assert_eq!(candidates("sh", "/a:/b/::/"), ["/a/sh", "/b/sh", "./sh", "/sh"]);
        assert_eq!(candidates("./sh", "/a"), ["./sh"]);
    }

    #[test]
    fn says_what_is_not_there_and_where_it_looked() {
        let environment = [("PATH".to_owned(), "/nowhere:/proc/self".to_owned())];
        let error = execute(&["no-such".into()], &environment).unwrap_err();
        assert_eq!(
            error.to_string(),
            "exec no-such: command not found in PATH=/nowhere:/proc/self"
        );
        assert_eq!(error.errno, Some(libc::ENOENT));
        let error = execute(&["/no/such".into()], &environment).unwrap_err();
        assert_eq!(error.to_string(), "exec /no/such: command not found");
        let error = execute(&["/proc/self/status".into()], &environment).unwrap_err();
        assert_eq!(error.to_string(), "exec /proc/self/status: permission denied");
    }

    #[test]
    fn says_when_an_interpreter_is_missing() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("script");
        std::fs::write(&script, "#!/no/interpreter\n").unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        let error = execute(&[script.to_str().unwrap().into()], &[]).unwrap_err().to_string();
        assert!(error.contains("its interpreter or dynamic loader is missing"), "{error}");
    }
}
