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
                    && only.principal.is_none()
                    && only.labels.is_none()
            }
            _ => false,
        };
        let name_is_safe = !self.name().contains([';', ':', '(', ')']);
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
