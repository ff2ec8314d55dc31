//! What labels ask for: VIPs, each with a policy and a weight if it names them.

use std::{collections::BTreeMap, str::FromStr};

use muster_packet::Policy;

use super::label::{Label, LabelError};

/// What labels of a port, or of a task ([`Asked::of_task`]), ask for. Other labels are of no concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<V = Label> {
    /// What can be given.
    pub vips: Vec<Wanted<V>>,
    /// Labels that ask for what cannot be given, by key.
    pub refused: BTreeMap<String, LabelError>,
}

/// A VIP that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<V = Label> {
    /// The VIP.
    pub vip: V,
    /// By what its backends are to be chosen, if that is said.
    pub policy: Option<Policy>,
    /// The share of its connections that the port gets, against that of its other backends; 1 if it is not said.
    pub weight: Option<u16>,
}

/// What a label says of the VIP of another label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attribute {
    Policy,
    Weight,
}

// === impl Asked ===

impl Asked {
    /// Reads labels of a port. One that cannot be read takes none of the others down; a VIP whose policy or
    /// weight makes no sense is asked for without.
    pub fn of<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::read(labels, is_vip, |_, value| Label::from_str(value))
    }
}

impl<V> Asked<V> {
    /// Reads those labels that ask for a VIP, by their keys, or that say something of such a key's VIP.
    pub(super) fn read<'a>(
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        is_vip: impl Fn(&str) -> bool,
        vip: impl Fn(&str, &str) -> Result<V, LabelError>,
    ) -> Self {
        let is_ours = |key: &str| is_vip(key) || Attribute::of(key, &is_vip).is_some();
        let labels: BTreeMap<&str, &str> =
            labels.into_iter().filter(|(key, _)| is_ours(key)).collect();
        let mut asked = Self { vips: Vec::new(), refused: BTreeMap::new() };
        for (&key, &value) in &labels {
            let read = match Attribute::of(key, &is_vip) {
                Some((_, of)) if !labels.contains_key(of) => {
                    Err(LabelError::NoVip(key.to_owned(), of.to_owned()))
                }
                Some((Attribute::Policy, _)) => policy(value).map(|_| None),
                Some((Attribute::Weight, _)) => weight(value).map(|_| None),
                None => vip(key, value).map(Some),
            };
            let said = |attribute| {
                let of = |other: &&str| Attribute::of(other, &is_vip) == Some((attribute, key));
                labels.iter().find(|(other, _)| of(other)).map(|(_, value)| *value)
            };
            match read {
                Ok(None) => {}
                Ok(Some(vip)) => asked.vips.push(Wanted {
                    vip,
                    policy: said(Attribute::Policy).and_then(|value| policy(value).ok()),
                    weight: said(Attribute::Weight).and_then(|value| weight(value).ok()),
                }),
                Err(error) => {
                    asked.refused.insert(key.to_owned(), error);
                }
            }
        }
        asked
    }
}

// === impl Attribute ===

impl Attribute {
    const ALL: [Self; 2] = [Self::Policy, Self::Weight];

    /// What its key has after the key of its VIP, in any case.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Policy => "_POLICY",
            Self::Weight => "_WEIGHT",
        }
    }

    /// What this key's label says, and the key of the VIP that it says it of.
    fn of(key: &str, is_vip: impl Fn(&str) -> bool) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|attribute| {
            let at = key.len().checked_sub(attribute.suffix().len())?;
            let (vip, end) = key.split_at_checked(at)?;
            let is_it = is_vip(vip) && end.eq_ignore_ascii_case(attribute.suffix());
            is_it.then_some((attribute, vip))
        })
    }
}

fn policy(value: &str) -> Result<Policy, LabelError> {
    Policy::from_name(value).ok_or_else(|| LabelError::Policy(value.to_owned()))
}

/// A weight, as IPVS has them; digits only.
fn weight(value: &str) -> Result<u16, LabelError> {
    let is_number = value.bytes().all(|digit| digit.is_ascii_digit());
    let number = value.parse().ok().filter(|_| is_number);
    number.ok_or_else(|| LabelError::Weight(value.to_owned()))
}

/// Whether a port's label with this key asks for a VIP, or says how: it begins with `VIP` or `vip`.
fn is_vip(key: &str) -> bool {
    key.starts_with("VIP") || key.starts_with("vip")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Shown = (u16, Option<Policy>, Option<u16>);

    fn asked(labels: &[(&str, &str)]) -> (Vec<Shown>, Vec<String>) {
        let asked = Asked::of(labels.iter().copied());
        let refused = asked.refused.iter().map(|(key, error)| format!("{key}: {error}"));
        let vips = asked.vips.iter().map(|wanted| (wanted.vip.port, wanted.policy, wanted.weight));
        (vips.collect(), refused.collect())
    }

    #[test]
    fn policies_and_weights_go_with_their_vips() {
        let (vips, refused) = asked(&[
            ("VIP_0", "/web:80"),
            ("VIP_0_POLICY", "maglev"),
            ("VIP_0_WEIGHT", "0"),
            ("VIP_1", "10.1.1.1:81"),
            ("VIP_1_Weight", "65535"),
            ("vip2", "/web:82"),
            ("vip2_policy", "p2c-ewma"),
            ("Vip_3", "/web:83"),
            ("MY_VIP_POLICY", "nothing of ours"),
            ("MY_VIP_WEIGHT", "nothing of ours"),
        ]);
        let wanted = [
            (80, Some(Policy::Maglev), Some(0)),
            (81, None, Some(65535)),
            (82, Some(Policy::P2cEwma), None),
        ];
        assert_eq!((vips, refused), (wanted.into(), vec![]));
    }

    #[test]
    fn what_cannot_be_given_is_refused_by_key_and_the_rest_is_asked_for() {
        let (vips, refused) = asked(&[
            ("VIP_0", "/web:80"),
            ("VIP_0_POLICY", "round-robin"),
            ("VIP_0_WEIGHT", "2.5"),
            ("VIP_1_POLICY", "random"),
            ("VIP_1_WEIGHT", "2"),
            ("VIP_2", "/web"),
            ("VIP_2_POLICY", "random"),
        ]);
        assert_eq!(vips, [(80, None, None)]);
        assert_eq!(
            refused,
            [
                "VIP_0_POLICY: VIP policy \"round-robin\" is not known: write p2c-ewma, least-pending, random or maglev",
                "VIP_0_WEIGHT: VIP weight \"2.5\" is not a whole number from 0 to 65535",
                "VIP_1_POLICY: VIP label \"VIP_1_POLICY\" has no VIP: give the label \"VIP_1\", too, or leave it out",
                "VIP_1_WEIGHT: VIP label \"VIP_1_WEIGHT\" has no VIP: give the label \"VIP_1\", too, or leave it out",
                "VIP_2: VIP label \"/web\" has no port: write <name>:<port> or <address>:<port>",
            ]
        );
    }

    #[test]
    fn weights_are_whole_numbers() {
        for bad in ["", "-1", "+1", "65536", "1e3", " 1", "x", "99999999999999999999"] {
            let (vips, refused) = asked(&[("VIP_0", "/web:80"), ("VIP_0_WEIGHT", bad)]);
            assert_eq!(vips, [(80, None, None)]);
            assert!(refused[0].starts_with("VIP_0_WEIGHT: VIP weight "), "{bad:?} {refused:?}");
        }
    }

    #[test]
    fn every_policy_is_named_in_the_message() {
        let message = LabelError::Policy(String::new()).to_string();
        assert!(Policy::ALL.iter().all(|policy| message.contains(policy.name())), "{message}");
    }
}
