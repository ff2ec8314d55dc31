//! Where the engine puts its containers' cgroups, and so where VIPs have to be served.

use std::fmt::Write;
use std::path::PathBuf;

/// The longest name that systemd has for a unit (`UNIT_NAME_MAX`, without the zero).
const UNIT_NAME_MAX: usize = 255;

/// Where the cgroups of an agent's containers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// Below the agent's own, in every hierarchy: the engine makes them itself (its driver
    /// `cgroupfs`).
    Own,
    /// In a slice of the agent's: systemd makes them for the engine.
    Slice(Slice),
    /// Where the engine wants; why the agent has no say.
    Elsewhere(String),
}

/// A slice of systemd's (systemd.slice(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    unit: String,
    path: PathBuf,
}

impl Cgroups {
    /// Where they are for an engine with the cgroup driver `driver`, as its `/info` says.
    pub(crate) fn by(driver: &str, agent: &str) -> Self {
        match driver {
            "" | "cgroupfs" => Self::Own,
            "systemd" => match Slice::of(agent) {
                Some(slice) => Self::Slice(slice),
                None => Self::Elsewhere(format!(
                    "the agent's name is too long for a slice of systemd's: give it a shorter \
                     --name, or the engine \"exec-opts\": [\"native.cgroupdriver=cgroupfs\"]: \
                     {agent}"
                )),
            },
            other => Self::Elsewhere(format!(
                "the engine's cgroup driver is {other}: give it \"exec-opts\": \
                 [\"native.cgroupdriver=systemd\"] or cgroupfs, and run it as root"
            )),
        }
    }

    /// `cgroup-parent` of a container.
    pub(crate) fn parent(&self, root: &str) -> Option<String> {
        match self {
            Self::Own => Some(format!("/{root}")),
            Self::Slice(slice) => Some(slice.unit.clone()),
            Self::Elsewhere(_) => None,
        }
    }
}

impl Slice {
    /// The slice of the agent of that name; `None` if the name is too long for it.
    pub fn of(agent: &str) -> Option<Self> {
        // A dash would be another slice in between.
        let unit = format!("muster-{}.slice", escape(agent));
        let path = PathBuf::from("muster.slice").join(&unit);
        (unit.len() <= UNIT_NAME_MAX).then_some(Self { unit, path })
    }

    /// Its directory in a cgroup hierarchy: `muster.slice/muster-a1.slice`.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}

/// A text as a part of a unit's name, as systemd-escape(1) writes it; a slash too, which that makes
/// a dash: in the name of a slice a dash stands for a slice in between.
fn escape(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'.' if at == 0 => name.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => {
                name.push(char::from(byte));
            }
            other => {
                // Writing to a String cannot fail.
                let _ = write!(name, "\\x{other:02x}");
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(agent: &str) -> String {
        Slice::of(agent).unwrap().unit
    }

    #[test]
    fn a_slice_is_named_as_systemd_escapes_names() {
        assert_eq!(unit("a1"), "muster-a1.slice");
        assert_eq!(unit("node-1.dc:2_x"), "muster-node\\x2d1.dc:2_x.slice");
        assert_eq!(unit(".a\\ é"), "muster-\\x2ea\\x5c\\x20\\xc3\\xa9.slice");
        let slice = Slice::of("node-1").unwrap();
        let path = std::path::Path::new("muster.slice/muster-node\\x2d1.slice");
        assert_eq!(slice.path(), path);
    }

    #[test]
    fn a_slash_is_no_slice_in_between() {
        assert_ne!(unit("a/b"), unit("a-b"));
        assert_eq!(unit("a/b").matches('-').count(), 1, "{}", unit("a/b"));
    }

    #[test]
    fn the_parent_is_what_the_driver_takes() {
        assert_eq!(Cgroups::by("cgroupfs", "a1").parent("muster/a1").unwrap(), "/muster/a1");
        assert_eq!(Cgroups::by("", "a1"), Cgroups::Own);
        assert_eq!(Cgroups::by("systemd", "a1").parent("muster/a1").unwrap(), "muster-a1.slice");
        for (driver, agent, named) in [
            ("none", "a1", "the engine's cgroup driver is none"),
            ("systemd", &"-".repeat(64), "--name"),
        ] {
            let cgroups = Cgroups::by(driver, agent);
            assert_eq!(cgroups.parent("muster/a1"), None);
            let Cgroups::Elsewhere(why) = cgroups else { panic!("{cgroups:?}") };
            assert!(why.contains(named) && why.contains("native.cgroupdriver"), "{why}");
        }
    }
}
