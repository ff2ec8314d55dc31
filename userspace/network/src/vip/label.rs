//! The label that asks for a VIP: `VIP_0` = `/nginx:80` or `10.1.2.3:80`.

use std::net::IpAddr;
use std::str::FromStr;

use super::name;
use super::pool::{Family, Range};

/// A parsed label value, `<host>:<port>`, split at the last colon.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// What comes before the port.
    pub host: Host,
    /// 1 to 65535.
    pub port: u16,
}

/// The part of a label before the port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address the user chose.
    Address(IpAddr),
    /// A name to be given an address; as written, not mangled.
    Name(String),
}

/// Why a label value is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// No colon.
    #[error("VIP label {0:?} has no port: write <name>:<port> or <address>:<port>")]
    NoPort(String),
    /// The port is no number from 1 to 65535.
    #[error("VIP label {0:?}: port {1:?} is not a number from 1 to 65535")]
    Port(String, String),
    /// Nothing that a DNS name can hold stands before the port.
    #[error("VIP label {0:?}: the name before the port has no letter or digit")]
    Name(String),
    /// The address has a meaning already.
    #[error(
        "VIP label {0:?}: {1} is a loopback, link-local, multicast, broadcast, reserved or unspecified address"
    )]
    Address(String, IpAddr),
    /// The address may be some name's, now or later.
    #[error(
        "VIP label {0:?}: {1} is one of the addresses that names are given, {range}: write a name, or an address \
         outside",
        range = Range(Family::of(*.1))
    )]
    Named(String, IpAddr),
    /// No such policy.
    #[error("VIP policy {0:?} is not known: write p2c-ewma, least-pending, random or maglev")]
    Policy(String),
    /// No such weight.
    #[error("VIP weight {0:?} is not a whole number from 0 to 65535")]
    Weight(String),
    /// A policy or a weight of no VIP: its key, and the VIP's.
    #[error("VIP label {0:?} has no VIP: give the label {1:?}, too, or leave it out")]
    NoVip(String, String),
    /// A task's label that does not say a protocol.
    #[error(
        "VIP label {0:?} names no protocol that VIPs are for: write tcp:// or udp:// before the name or address"
    )]
    Transport(String),
    /// A task's label for a port that it does not have: the key, and how many there are.
    #[error("VIP label {0:?} is for a host port that there is not: there are {1}, counted from 0")]
    Index(String, usize),
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(value: &str) -> Result<Self, LabelError> {
        let (host, port) =
            value.rsplit_once(':').ok_or_else(|| LabelError::NoPort(value.to_owned()))?;
        let port = port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| LabelError::Port(value.to_owned(), port.to_owned()))?;
        // An IPv6 address may stand in brackets, as in a URL.
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        // An IPv4 address may be written as the IPv6 address that maps it.
        let host = match bare.parse().map(|address: IpAddr| address.to_canonical()) {
            Ok(address) if !can_be_vip(address) => {
                return Err(LabelError::Address(value.to_owned(), address));
            }
            Ok(address) if Family::is_given_out(address) => {
                return Err(LabelError::Named(value.to_owned(), address));
            }
            Ok(address) => Host::Address(address),
            Err(_) if name::mangle(host).is_empty() => {
                return Err(LabelError::Name(value.to_owned()));
            }
            Err(_) => Host::Name(host.to_owned()),
        };
        Ok(Self { host, port })
    }
}

/// Whether `address` has no other meaning yet.
fn can_be_vip(address: IpAddr) -> bool {
    let is_special = match address {
        // RFC 1122, section 3.2.1.3 (this network), RFC 3927 (link-local), RFC 1112, section 4
        // (reserved, and the broadcast address).
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            first == 0 || first >= 240 || address.is_link_local()
        }
        // It means another machine on each interface.
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(is_special || address.is_loopback() || address.is_multicast() || address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<Label, LabelError> {
        value.parse()
    }

    #[test]
    fn names_and_addresses() {
        let named = |name: &str, port| Ok(Label { host: Host::Name(name.into()), port });
        assert_eq!(parse("/nginx:80"), named("/nginx", 80));
        assert_eq!(parse("broker:9092"), named("broker", 9092));
        assert_eq!(parse("a:b:65535"), named("a:b", 65535));
        let at =
            |address: &str, port| Ok(Label { host: Host::Address(address.parse().unwrap()), port });
        assert_eq!(parse("10.1.2.3:80"), at("10.1.2.3", 80));
        assert_eq!(parse("fd02:c::1:80"), at("fd02:c::1", 80));
        assert_eq!(parse("[fd02:c::1]:80"), at("fd02:c::1", 80));
        // Next to the addresses of names.
        for address in ["10.255.255.255", "11.255.255.255", "12.0.0.0", "fd01:c:0:1::"] {
            assert_eq!(parse(&format!("{address}:80")), at(address, 80));
        }
        assert_eq!(parse("::ffff:10.1.2.3:80"), at("10.1.2.3", 80));
        // Not an address in strict notation, so a name.
        assert_eq!(parse("010.1.2.3:80"), named("010.1.2.3", 80));
    }

    #[test]
    fn addresses_of_names_are_refused() {
        for address in [
            "11.0.0.0",
            "11.0.0.5",
            "11.255.255.254",
            "fd01:c::",
            "fd01:c::5",
            "fd01:c::ffff:ffff:ffff:ffff",
        ] {
            let value = format!("{address}:80");
            let error = LabelError::Named(value.clone(), address.parse().unwrap());
            assert_eq!(parse(&value), Err(error));
        }
        assert_eq!(
            parse("::ffff:11.0.0.5:80").unwrap_err().to_string(),
            "VIP label \"::ffff:11.0.0.5:80\": 11.0.0.5 is one of the addresses that names are given, \
             11.0.0.0 to 11.255.255.254: write a name, or an address outside"
        );
    }

    #[test]
    fn refused_with_the_reason() {
        assert_eq!(parse("/nginx"), Err(LabelError::NoPort("/nginx".into())));
        for port in ["", "0", "65536", "-1", "http", " 80"] {
            let value = format!("/nginx:{port}");
            assert_eq!(parse(&value), Err(LabelError::Port(value.clone(), port.into())));
        }
        for value in [":80", "/:80", "//./-:80"] {
            assert_eq!(parse(value), Err(LabelError::Name(value.into())));
        }
        for address in [
            "127.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.1.1",
            "240.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
        ] {
            let value = format!("{address}:80");
            let error = LabelError::Address(value.clone(), address.parse().unwrap());
            assert_eq!(parse(&value), Err(error));
        }
    }
}
