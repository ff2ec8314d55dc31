//! Names of VIPs, as minuteman makes them.

/// The zone of all named VIPs.
pub const ZONE: &str = "l4lb.thisdcos.directory";

/// Longest label of a DNS name, RFC 1035 section 2.3.4.
const MAX_FRAGMENT: usize = 63;

/// The name a VIP label of a framework's task resolves by:
/// `/group/app` of `marathon` is `groupapp.marathon.l4lb.thisdcos.directory`.
pub fn named(label: &str, framework: &str) -> String {
    format!("{}.{ZONE}", service(label, framework))
}

/// [`named`] without the zone: what the address is hashed from.
pub fn service(label: &str, framework: &str) -> String {
    format!("{}.{}", mangle(label), mangle(framework))
}

/// Splits at dots and turns each fragment into an RFC 1123 label: lower case, `_` to
/// `-`, everything but letters, digits and `-` dropped, at most 63 characters, no `-`
/// at either end; empty fragments vanish.
pub(super) fn mangle(name: &str) -> String {
    let fragments: Vec<String> =
        name.split('.').map(fragment).filter(|fragment| !fragment.is_empty()).collect();
    fragments.join(".")
}

fn fragment(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter_map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '-') => Some(c),
            '_' => Some('-'),
            _ => None,
        })
        .collect();
    let trimmed = kept.trim_matches('-');
    trimmed[..trimmed.len().min(MAX_FRAGMENT)].trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_minuteman_names_them() {
        assert_eq!(named("/nginx", "marathon"), "nginx.marathon.l4lb.thisdcos.directory");
        assert_eq!(service("/group/app", "marathon"), "groupapp.marathon");
        assert_eq!(service("/a.b", "marathon"), "a.b.marathon");
        assert_eq!(service("broker", "dev/kafka"), "broker.devkafka");
        assert_eq!(service("-My_App-", "Marathon"), "my-app.marathon");
        assert_eq!(service("a..b.", "m"), "a.b.m");
        assert_eq!(mangle(&"x".repeat(80)), "x".repeat(63));
        assert_eq!(mangle(&format!("{}-tail", "x".repeat(62))), "x".repeat(62));
    }

    proptest! {
        #[test]
        fn every_fragment_is_an_rfc_1123_label(name in ".{0,200}") {
            let mangled = mangle(&name);
            for fragment in mangled.split('.').filter(|_| !mangled.is_empty()) {
                prop_assert!((1..=63).contains(&fragment.len()));
                prop_assert!(!fragment.starts_with('-') && !fragment.ends_with('-'));
                prop_assert!(fragment.bytes().all(|b| b.is_ascii_lowercase()
                    || b.is_ascii_digit() || b == b'-'));
            }
            prop_assert_eq!(mangle(&mangled), mangled);
        }
    }
}
