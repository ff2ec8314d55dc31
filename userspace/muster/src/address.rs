//! Addresses of masters and agents on the command line.

/// `HOST[:PORT]` of `[http://]HOST[:PORT]`, with `port` if none is given.
pub(crate) fn with_port(address: &str, port: u16) -> String {
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let has_port = address.rsplit_once(':').is_some_and(|(host, port)| {
        // Of an address of IPv6 only after its bracket.
        port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
    });
    if has_port { address.to_owned() } else { format!("{address}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_the_usual_ones_unless_given() {
        for (address, expected) in [
            ("h", "h:5050"),
            ("http://h:1/", "h:1"),
            ("10.0.0.1", "10.0.0.1:5050"),
            ("[::1]", "[::1]:5050"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(with_port(address, 5050), expected);
        }
    }
}
