//! Which interfaces are asked for.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// The interfaces that packets to VIPs from outside the cluster come by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Interfaces {
    /// None of them: no program is attached to an interface.
    #[default]
    None,
    /// The one that has the agent's address.
    Auto,
    /// These, each once, in the order given.
    Named(Vec<Interface>),
}

/// An interface that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name: `eth0`.
    pub name: String,
    /// By what its packets are to be caught.
    pub means: Means,
}

/// By what an interface's packets are caught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Means {
    /// XDP in the driver if it is a card's and has it, and tc for the rest; otherwise tc alone.
    #[default]
    Best,
    /// XDP in the driver and tc for the rest, or an error.
    Native,
    /// XDP in the kernel, where the driver has none, and tc for the rest, or an error.
    Generic,
    /// tc alone: tcx where the kernel has it (Linux 6.6), otherwise a filter at clsact.
    Tc,
    /// tc alone, by a filter at clsact.
    Clsact,
}

/// Why a text names no interfaces.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterfacesError {
    /// A name is none that an interface can have.
    #[error(
        "interface {name:?}: must have 1 to 15 bytes, and no slash, colon or space; a list is \
         eth0,eth1, or it is auto or none"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// An interface is named more than once.
    #[error("interface {name}: more than once in the list")]
    Twice {
        /// The name.
        name: String,
    },
    /// A means that there is not.
    #[error("interface {name}: {means:?}: must be xdp, xdp-generic, tc or clsact, or left out")]
    Means {
        /// The interface's name.
        name: String,
        /// What was given.
        means: String,
    },
}

// === impl Interfaces ===

impl FromStr for Interfaces {
    type Err = InterfacesError;

    /// `none`, `auto`, or `<name>[:<means>]` with commas between.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "none" => return Ok(Self::None),
            "auto" => return Ok(Self::Auto),
            _ => {}
        }
        let mut named = Vec::<Interface>::new();
        for item in text.split(',') {
            let interface: Interface = item.trim().parse()?;
            if named.iter().any(|other| other.name == interface.name) {
                return Err(InterfacesError::Twice { name: interface.name });
            }
            named.push(interface);
        }
        Ok(Self::Named(named))
    }
}

impl fmt::Display for Interfaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Auto => f.write_str("auto"),
            Self::Named(named) => {
                let texts: Vec<String> = named.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join(","))
            }
        }
    }
}

// === impl Interface ===

impl FromStr for Interface {
    type Err = InterfacesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, means) = match text.split_once(':') {
            Some((name, means)) => (name, Some(means)),
            None => (text, None),
        };
        // As the kernel's dev_valid_name.
        let is_name = (1..16).contains(&name.len())
            && name != "."
            && name != ".."
            && !name.contains(|c: char| c == '/' || c.is_whitespace());
        if !is_name {
            return Err(InterfacesError::Name { name: name.to_owned() });
        }
        let name = name.to_owned();
        let means = match means {
            None => Means::Best,
            Some("xdp") => Means::Native,
            Some("xdp-generic") => Means::Generic,
            Some("tc") => Means::Tc,
            Some("clsact") => Means::Clsact,
            Some(other) => return Err(InterfacesError::Means { name, means: other.to_owned() }),
        };
        Ok(Self { name, means })
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.means {
            Means::Best => Ok(()),
            Means::Native => f.write_str(":xdp"),
            Means::Generic => f.write_str(":xdp-generic"),
            Means::Tc => f.write_str(":tc"),
            Means::Clsact => f.write_str(":clsact"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(items: &[(&str, Means)]) -> Interfaces {
        let interface =
            |(name, means): &(&str, Means)| Interface { name: (*name).to_owned(), means: *means };
        Interfaces::Named(items.iter().map(interface).collect())
    }

    #[test]
    fn lists_are_read_and_shown_again() {
        for (text, meant) in [
            ("none", Interfaces::None),
            ("auto", Interfaces::Auto),
            ("eth0", named(&[("eth0", Means::Best)])),
            (
                "eth0:xdp,eth1,eth2:xdp-generic,eth0.7:tc,br-x:clsact",
                named(&[
                    ("eth0", Means::Native),
                    ("eth1", Means::Best),
                    ("eth2", Means::Generic),
                    ("eth0.7", Means::Tc),
                    ("br-x", Means::Clsact),
                ]),
            ),
        ] {
            assert_eq!(text.parse::<Interfaces>().unwrap(), meant);
            assert_eq!(meant.to_string(), text);
        }
        assert_eq!(" eth0 , eth1 ".parse(), "eth0,eth1".parse::<Interfaces>());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| text.parse::<Interfaces>().unwrap_err();
        let name = |name: &str| InterfacesError::Name { name: name.to_owned() };
        assert_eq!(error(""), name(""));
        assert_eq!(error("eth0,,eth1"), name(""));
        assert_eq!(error("a/b"), name("a/b"));
        assert_eq!(error("sixteen-bytes-xx"), name("sixteen-bytes-xx"));
        assert_eq!(error("eth0,eth0:tc"), InterfacesError::Twice { name: "eth0".into() });
        assert_eq!(
            error("eth0:fast").to_string(),
            "interface eth0: \"fast\": must be xdp, xdp-generic, tc or clsact, or left out"
        );
    }
}
