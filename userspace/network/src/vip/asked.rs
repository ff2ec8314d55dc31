//! What labels ask for: VIPs, each with a policy if it names one.

use std::{collections::BTreeMap, str::FromStr};

use muster_packet::Policy;

use super::label::{Label, LabelError};

/// What a policy's key has after the key of its VIP.
const POLICY: &str = "_POLICY";

/// What labels of a port, or of a task ([`Asked::of_task`]), ask for. Other labels are of no concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<V = Label> {
    /// The VIPs, and by what their backends are to be chosen, if that is said.
    pub vips: Vec<(V, Option<Policy>)>,
    /// Labels that ask for what cannot be given, by key.
    pub refused: BTreeMap<String, LabelError>,
}

// === impl Asked ===

impl Asked {
    /// Reads labels of a port. One that cannot be read takes none of the others down; a VIP whose policy is
    /// unknown is asked for without.
    pub fn of<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::read(labels, is_vip, |_, value| Label::from_str(value))
    }
}

impl<V> Asked<V> {
    /// Reads those labels that ask for a VIP, by their keys, or that give the policy of such a key.
    pub(super) fn read<'a>(
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        is_vip: impl Fn(&str) -> bool,
        vip: impl Fn(&str, &str) -> Result<V, LabelError>,
    ) -> Self {
        let is_ours = |key: &str| is_vip(key) || policy_of(key, &is_vip).is_some();
        let labels: BTreeMap<&str, &str> =
            labels.into_iter().filter(|(key, _)| is_ours(key)).collect();
        let mut asked = Self { vips: Vec::new(), refused: BTreeMap::new() };
        for (&key, &value) in &labels {
            let policy = labels.iter().find(|(other, _)| policy_of(other, &is_vip) == Some(key));
            let refused = if let Some(vip) = policy_of(key, &is_vip) {
                if !labels.contains_key(vip) {
                    LabelError::NoVip(key.to_owned(), vip.to_owned())
                } else if Policy::from_name(value).is_none() {
                    LabelError::Policy(value.to_owned())
                } else {
                    continue;
                }
            } else {
                match vip(key, value) {
                    Ok(vip) => {
                        let policy = policy.and_then(|(_, name)| Policy::from_name(name));
                        asked.vips.push((vip, policy));
                        continue;
                    }
                    Err(error) => error,
                }
            };
            asked.refused.insert(key.to_owned(), refused);
        }
        asked
    }
}

/// Whether a port's label with this key asks for a VIP, or says how: it begins with `VIP` or `vip`.
fn is_vip(key: &str) -> bool {
    key.starts_with("VIP") || key.starts_with("vip")
}

/// The key of the VIP whose policy this key's label gives.
fn policy_of(key: &str, is_vip: impl Fn(&str) -> bool) -> Option<&str> {
    let at = key.len().checked_sub(POLICY.len())?;
    let (vip, end) = key.split_at_checked(at)?;
    (is_vip(vip) && end.eq_ignore_ascii_case(POLICY)).then_some(vip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(labels: &[(&str, &str)]) -> (Vec<(u16, Option<Policy>)>, Vec<String>) {
        let asked = Asked::of(labels.iter().copied());
        let refused = asked.refused.iter().map(|(key, error)| format!("{key}: {error}"));
        let vips = asked.vips.iter().map(|(label, policy)| (label.port, *policy));
        (vips.collect(), refused.collect())
    }

    #[test]
    fn policies_go_with_their_vips() {
        let (vips, refused) = asked(&[
            ("VIP_0", "/web:80"),
            ("VIP_0_POLICY", "maglev"),
            ("VIP_1", "10.1.1.1:81"),
            ("vip2", "/web:82"),
            ("vip2_policy", "p2c-ewma"),
            ("Vip_3", "/web:83"),
            ("MY_VIP_POLICY", "nothing of ours"),
        ]);
        let wanted = [(80, Some(Policy::Maglev)), (81, None), (82, Some(Policy::P2cEwma))];
        assert_eq!((vips, refused), (wanted.into(), vec![]));
    }

    #[test]
    fn what_cannot_be_given_is_refused_by_key_and_the_rest_is_asked_for() {
        let (vips, refused) = asked(&[
            ("VIP_0", "/web:80"),
            ("VIP_0_POLICY", "round-robin"),
            ("VIP_1_POLICY", "random"),
            ("VIP_2", "/web"),
            ("VIP_2_POLICY", "random"),
        ]);
        assert_eq!(vips, [(80, None)]);
        assert_eq!(
            refused,
            [
                "VIP_0_POLICY: VIP policy \"round-robin\" is not known: write p2c-ewma, least-pending, random or maglev",
                "VIP_1_POLICY: VIP policy label \"VIP_1_POLICY\" has no VIP: give the label \"VIP_1\", too, or leave it out",
                "VIP_2: VIP label \"/web\" has no port: write <name>:<port> or <address>:<port>",
            ]
        );
    }

    #[test]
    fn every_policy_is_named_in_the_message() {
        let message = LabelError::Policy(String::new()).to_string();
        assert!(Policy::ALL.iter().all(|policy| message.contains(policy.name())), "{message}");
    }
}
