//! Pins of what is at interfaces: `<kind>-<interface>` beside the other links.
//!
//! A filter at clsact is no link. What is pinned for it is its program, before it is attached and
//! until it is detached: so it is known whose it is.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use tracing::{debug, info};

use crate::{
    Error,
    config::{pin_name, unpin_name},
    front::filter::{self, Filter},
    pins, syscall,
};

/// What can be at an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// XDP in the driver.
    Xdp,
    /// XDP in the kernel.
    Generic,
    /// tcx, for what arrives.
    Ingress,
    /// tcx, for what leaves.
    Egress,
    /// A filter at clsact, for what arrives.
    FilterIngress,
    /// A filter at clsact, for what leaves.
    FilterEgress,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Xdp, "xdp"),
    (Kind::Generic, "generic"),
    (Kind::Ingress, "ingress"),
    (Kind::Egress, "egress"),
    (Kind::FilterIngress, "filter-ingress"),
    (Kind::FilterEgress, "filter-egress"),
];

// === impl Kind ===

impl Kind {
    /// The name of its pin.
    pub(crate) fn pin(self, interface: &str) -> String {
        let kind = KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name);
        format!("{kind}-{}", pin_name(interface))
    }

    /// What a pin is of, and of which interface. `None` if it is another kind of pin.
    pub(crate) fn of(pin: &Path) -> Option<(Self, String)> {
        let name = pin.file_name()?.to_str()?;
        KINDS.iter().find_map(|(kind, prefix)| {
            let interface = name.strip_prefix(prefix)?.strip_prefix('-')?;
            Some((*kind, unpin_name(interface)))
        })
    }

    /// True if what is pinned is a program, and not a link.
    pub(crate) fn is_filter(self) -> bool {
        matches!(self, Self::FilterIngress | Self::FilterEgress)
    }

    /// True if it sees the answers of backends here, and no requests.
    pub(crate) fn is_of_answers(self) -> bool {
        matches!(self, Self::Egress | Self::FilterEgress)
    }
}

/// Detaches and unpins what is at interfaces, but for the pins to be kept.
pub(crate) fn release(links: &Path, keep: &BTreeSet<PathBuf>) -> Result<(), Error> {
    for path in pins::list(links)? {
        let Some((kind, interface)) = Kind::of(&path) else { continue };
        if keep.contains(&path) {
            continue;
        }
        if kind.is_filter() {
            filter::detach(&Filter { interface: &interface, kind, links })?;
        } else if let Ok(link) = syscall::open_pinned(&path)
            && let Err(error) = syscall::detach_link(&link)
        {
            debug!(path = %path.display(), %error, "link is detached already");
        }
        pins::unlink(&path)?;
        info!(interface, pin = %path.display(), "no longer forwards packets to VIPs");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_say_what_they_are_of() {
        for (kind, _) in KINDS {
            for interface in ["eth0", "eth0.7", "filter-ingress-x", "%"] {
                let pin = Path::new("/b/links").join(kind.pin(interface));
                assert!(!kind.pin(interface).contains('.'));
                assert_eq!(Kind::of(&pin), Some((kind, interface.to_owned())));
            }
        }
        assert_eq!(Kind::of(Path::new("/b/links/connect4")), None);
    }
}
