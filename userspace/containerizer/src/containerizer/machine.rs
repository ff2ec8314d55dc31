//! What containers need of the machine.

use rustix::process::getuid;

use crate::Error;

/// The oldest kernel that has what containers need: `cgroup.kill`.
const KERNEL: (u32, u32) = (5, 14);

/// Checks that the machine can run containers at all.
pub(super) fn check() -> Result<(), Error> {
    let unsupported =
        |what: String, remedy: &str| Err(Error::Unsupported { what, remedy: remedy.into() });
    if !getuid().is_root() {
        return unsupported("containers need root".into(), "run the agent as root");
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    if !recent_enough(&release) {
        let (major, minor) = KERNEL;
        return unsupported(
            format!("Linux {release} is too old for containers"),
            &format!("run Linux {major}.{minor} or later"),
        );
    }
    Ok(())
}

fn recent_enough(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= KERNEL,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::recent_enough;

    #[test]
    fn compares_releases_as_numbers() {
        for release in ["5.14.0-427.el9", "5.15", "6.1.0-18-cloud-amd64", "10.0.1"] {
            assert!(recent_enough(release), "{release}");
        }
        for release in ["5.9.1", "5.13.19", "4.18.0", "nonsense", ""] {
            assert!(!recent_enough(release), "{release}");
        }
    }
}
