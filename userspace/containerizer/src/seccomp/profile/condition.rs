//! When a rule is one: Docker's `includes` and `excludes`.

use serde::{Deserialize, Deserializer};

use crate::CapabilitySet;

/// Where or for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::seccomp) struct Condition {
    #[serde(default, deserialize_with = "capabilities")]
    caps: CapabilitySet,
    #[serde(default)]
    arches: Option<Vec<String>>,
    #[serde(default, deserialize_with = "version")]
    min_kernel: Option<(u32, u32)>,
}

impl Condition {
    /// As `includes`: whether all of it holds.
    pub(in crate::seccomp) fn all(
        &self,
        arch: &str,
        kernel: (u32, u32),
        caps: CapabilitySet,
    ) -> bool {
        self.caps.without(caps).is_none()
            && self.arches().is_none_or(|mut arches| arches.any(|name| name == arch))
            && self.min_kernel.is_none_or(|least| kernel >= least)
    }

    /// As `excludes`: whether any of it holds.
    pub(in crate::seccomp) fn any(
        &self,
        arch: &str,
        kernel: (u32, u32),
        caps: CapabilitySet,
    ) -> bool {
        self.caps.intersection(caps) != CapabilitySet::default()
            || self.arches().is_some_and(|mut arches| arches.any(|name| name == arch))
            || self.min_kernel.is_some_and(|least| kernel >= least)
    }

    /// `None` for any.
    fn arches(&self) -> Option<impl Iterator<Item = &str>> {
        let arches = self.arches.as_ref().filter(|arches| !arches.is_empty())?;
        Some(arches.iter().map(String::as_str))
    }
}

/// The first two numbers of a kernel's version.
pub(in crate::seccomp) fn kernel(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn version<'de, D: Deserializer<'de>>(from: D) -> Result<Option<(u32, u32)>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    let wrong = || serde::de::Error::custom(format!("`{text}` is no version like 4.8"));
    kernel(&text).map(Some).ok_or_else(wrong)
}

fn capabilities<'de, D: Deserializer<'de>>(from: D) -> Result<CapabilitySet, D::Error> {
    let names = Option::<Vec<String>>::deserialize(from)?.unwrap_or_default();
    names.join(",").parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &str) -> CapabilitySet {
        names.parse().unwrap()
    }

    #[test]
    fn includes_are_all_and_excludes_any() {
        let text =
            r#"{"caps":["CAP_BPF","CAP_PERFMON"],"arches":["arm","amd64"],"minKernel":"4.8"}"#;
        let condition: Condition = serde_json::from_str(text).unwrap();
        let both = set("BPF,PERFMON,CHOWN");
        assert!(condition.all("amd64", (4, 8), both) && condition.all("arm", (6, 1), both));
        assert!(!condition.all("amd64", (4, 7), both));
        assert!(!condition.all("x86", (4, 8), both));
        assert!(!condition.all("amd64", (4, 8), set("BPF")));
        assert!(condition.any("x86", (3, 10), set("BPF")));
        assert!(condition.any("arm", (3, 10), set("")) && condition.any("x86", (5, 0), set("")));
        assert!(!condition.any("x86", (4, 7), set("CHOWN")));
        let nothing = Condition::default();
        assert!(nothing.all("arm", (0, 0), set("")) && !nothing.any("arm", (9, 9), both));
    }

    #[test]
    fn versions_are_what_uname_says() {
        assert_eq!(kernel("6.1.0-13-amd64"), Some((6, 1)));
        assert_eq!(kernel("5.14"), Some((5, 14)));
        assert_eq!(kernel("6.18.44-fc"), Some((6, 18)));
        assert_eq!((kernel("6"), kernel("v6.1"), kernel("")), (None, None, None));
    }
}
