//! Devices of a container.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What may be done with a device, or with many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceAccess {
    /// Block or character.
    pub(crate) kind: DeviceKind,
    /// The driver's number; `None` is all.
    pub(crate) major: Option<u32>,
    /// The device's number; `None` is all of the driver.
    pub(crate) minor: Option<u32>,
    /// Reading from it.
    pub(crate) read: bool,
    /// Writing to it.
    pub(crate) write: bool,
    /// Making a node of it, mknod(2).
    pub(crate) make: bool,
}

/// The two kinds of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DeviceKind {
    /// With blocks.
    Block,
    /// Without.
    Character,
}

/// As v1's `devices.allow` wants it: `c 1:3 rwm`.
impl fmt::Display for DeviceAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeviceKind::Block => 'b',
            DeviceKind::Character => 'c',
        };
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |n| n.to_string());
        write!(f, "{kind} {}:{} ", number(self.major), number(self.minor))?;
        let letters = [(self.read, "r"), (self.write, "w"), (self.make, "m")];
        letters.iter().filter(|(may, _)| *may).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_kernel_wants_it() {
        let null = DeviceAccess {
            kind: DeviceKind::Character,
            major: Some(1),
            minor: Some(3),
            read: true,
            write: true,
            make: false,
        };
        assert_eq!(null.to_string(), "c 1:3 rw");
        let any =
            DeviceAccess { kind: DeviceKind::Block, major: None, minor: None, make: true, ..null };
        assert_eq!(any.to_string(), "b *:* rwm");
    }
}
