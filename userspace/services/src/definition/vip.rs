//! `VIP_…` labels of ports: `<name or address>:<port>`.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::reader::Field;

/// Refuses a label that asks for a virtual address in a way that cannot be given.
/// Labels whose key begins with neither `VIP` nor `vip` are of no concern here.
pub(super) fn check(key: &str, value: &Field<'_>) {
    if !key.starts_with("VIP") && !key.starts_with("vip") {
        return;
    }
    let Some(text) = value.value().as_str() else { return };
    let Some((host, port)) = text.rsplit_once(':') else {
        return value.refuse("must be <name or IPv4 address>:<port>, as in \"/nginx:80\"");
    };
    if !port.parse::<u16>().is_ok_and(|number| number > 0) {
        value.refuse(format!("port '{port}' must be a number from 1 to 65535"));
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return;
    }
    if host.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok() {
        value.refuse("IPv6 addresses are not supported yet: use a name or an IPv4 address");
    } else if !host.bytes().any(|c| c.is_ascii_alphanumeric()) {
        value.refuse(format!("name '{host}' must hold at least one letter or digit"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reader::Problems;

    fn errors(key: &str, value: &str) -> usize {
        let (value, problems) = (json!(value), Problems::default());
        check(key, &Field::root(&value, &problems));
        problems.into_list().len()
    }

    #[test]
    fn good_and_bad_labels() {
        for good in ["/nginx:80", "a.b:65535", "10.0.0.1:1", "broker:9092"] {
            assert_eq!(errors("VIP_0", good), 0, "{good}");
        }
        for bad in
            ["/nginx", "/nginx:", "/nginx:0", "/nginx:65536", "/:80", "fd01::1:80", "a:-1", "a:b"]
        {
            assert_eq!(errors("vip0", bad), 1, "{bad}");
        }
        assert_eq!(errors("VIP_0", "/:x"), 2);
        assert_eq!(errors("Vip_0", "anything"), 0, "not a VIP label");
    }
}
