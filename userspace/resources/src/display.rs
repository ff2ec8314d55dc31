//! Resources as text.

use std::fmt;

use crate::{ReservationKind, Resource, Resources};

/// `cpus:4;mem(role):512;ports:[31000-32000]`: what [`Resources::parse`] reads, as far as
/// text can say it. With `{:#}` the form in which Mesos prints them, which leaves nothing
/// out: `cpus(allocated: a)(reservations: [(DYNAMIC,a,principal)]):4; disk[id:path]:64`.
impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() && f.alternate() {
            return f.write_str("{}");
        }
        for (index, resource) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(if f.alternate() { "; " } else { ";" })?;
            }
            resource.fmt(f)?;
        }
        Ok(())
    }
}

impl Resource {
    /// Whether the short text says everything about it, except the role it is allocated to.
    pub fn is_text(&self) -> bool {
        let details = self.details();
        let plain_reservation = match details.reservations.as_slice() {
            [] => true,
            [only] => {
                only.kind == ReservationKind::Static
                    && is_safe(&only.role)
                    && only.principal.is_none()
                    && only.labels.is_none()
            }
            _ => false,
        };
        // At the beginning of a text, it would be read as JSON otherwise.
        let name_is_safe = is_safe(self.name()) && !self.name().starts_with(['[', '{']);
        plain_reservation
            && name_is_safe
            && details.disk.is_none()
            && !details.revocable
            && !details.shared
            && details.provider.is_none()
    }

    fn fmt_details(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = self.details();
        if let Some(role) = self.allocation() {
            write!(f, "(allocated: {role})")?;
        }
        if !details.reservations.is_empty() {
            f.write_str("(reservations: [")?;
            for (index, reservation) in details.reservations.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                write!(f, "{comma}({reservation})")?;
            }
            f.write_str("])")?;
        }
        if let Some(disk) = &details.disk {
            write!(f, "[{disk}]")?;
        }
        if details.revocable {
            f.write_str("{REV}")?;
        }
        if details.shared {
            f.write_str("<SHARED>")?;
        }
        Ok(())
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if f.alternate() || !self.is_text() {
            // Better more than can be read back than less than there is.
            self.fmt_details(f)?;
        } else if let Some(role) = self.reservation_role() {
            write!(f, "({role})")?;
        }
        write!(f, ":{}", self.value())?;
        if self.is_shared() {
            write!(f, "<{}>", self.copies())?;
        }
        Ok(())
    }
}

/// Whether a name or a role is read in a text as it stands.
fn is_safe(word: &str) -> bool {
    !word.contains([';', ':', '(', ')']) && word.trim() == word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Details, Reservation, Scalar, Value};

    #[test]
    fn only_what_is_read_back_is_text() {
        let named = |name: &str, role: Option<&str>| {
            let reservations = role.map(Reservation::fixed).into_iter().collect();
            Resource::new(name, Value::Scalar(Scalar::whole(1)))
                .with_details(Details { reservations, ..Details::default() })
        };
        for (name, role) in [("cpus", None), ("c[", None), ("cpus", Some("a/b"))] {
            let resources = Resources::from(named(name, role));
            assert!(named(name, role).is_text(), "{name:?} {role:?}");
            assert_eq!(Resources::parse(&resources.to_string()).unwrap(), resources);
        }
        for name in ["cpus ", " cpus", "[cpus", "{cpus", "a;b", "a:b", "a(b", "a)b"] {
            assert!(!named(name, None).is_text(), "{name:?}");
        }
        for role in [")a", "a:b", "a(b", "a;b"] {
            assert!(!named("cpus", Some(role)).is_text(), "{role:?}");
        }
    }
}
