//! What the kernel has to be told to do for packets to be forwarded. It is looked at and said, not
//! changed: it belongs to who runs the machine.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use muster_packet::{FIRST_PORT, LAST_PORT};
use tracing::warn;

const ROOT: &str = "/proc/sys/net";

/// Says what of this machine's settings keeps packets that come by an interface from going on.
pub(crate) fn check(interface: &str, address: IpAddr) {
    for problem in problems(Path::new(ROOT), interface, address) {
        warn!(interface, "{problem}");
    }
}

fn problems(root: &Path, interface: &str, address: IpAddr) -> Vec<String> {
    let mut problems = Vec::new();
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    let number = |path: &str| read(path)?.trim().parse::<u32>().ok();
    let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    // Of a name with dots, dots in the command are slashes.
    let shown = interface.replace('.', "/");
    if number(&format!("{family}/conf/{interface}/forwarding")) == Some(0) {
        let all =
            if address.is_ipv4() { "net.ipv4.ip_forward" } else { "net.ipv6.conf.all.forwarding" };
        problems.push(format!(
            "net.{family}.conf.{shown}.forwarding is 0: packets to backends on other machines and \
             in containers are dropped; set it: sysctl -w {all}=1"
        ));
    }
    let strict = |name: &str| number(&format!("ipv4/conf/{name}/rp_filter")) == Some(1);
    let loose = |name: &str| number(&format!("ipv4/conf/{name}/rp_filter")) == Some(2);
    // The kernel takes the larger of both.
    if address.is_ipv4()
        && (strict("all") || strict(interface))
        && !loose("all")
        && !loose(interface)
    {
        problems.push(format!(
            "net.ipv4.conf.{shown}.rp_filter is 1 (strict): packets of clients that this machine \
             reaches by another interface are dropped; set it: sysctl -w net.ipv4.conf.{shown}.rp_filter=2"
        ));
    }
    let range = read("ipv4/ip_local_port_range");
    let mut bounds = range.iter().flat_map(|text| text.split_whitespace()).map(str::parse::<u16>);
    if let (Some(Ok(first)), Some(Ok(last))) = (bounds.next(), bounds.next())
        && first <= LAST_PORT
        && last >= FIRST_PORT
    {
        problems.push(format!(
            "net.ipv4.ip_local_port_range is {first} to {last}: of it, ports from {FIRST_PORT} to \
             {LAST_PORT} are also given to forwarded connections, and one of both may be cut off; \
             set it: sysctl -w net.ipv4.ip_local_port_range=\"{} {}\"",
            LAST_PORT + 1,
            last.max(60_999),
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings as files; the first words of what is said of them.
    fn said(settings: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (path, value) in settings {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{value}\n")).unwrap();
        }
        let problems = problems(root.path(), "eth0.7", "10.0.0.1".parse().unwrap());
        problems.iter().map(|text| text.split(':').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_keeps_packets_from_going_on_is_said() {
        assert_eq!(
            said(&[
                ("ipv4/conf/eth0.7/forwarding", "0"),
                ("ipv4/conf/eth0.7/rp_filter", "1"),
                ("ipv4/conf/all/rp_filter", "0"),
                ("ipv4/ip_local_port_range", "1024\t60999"),
            ]),
            [
                "net.ipv4.conf.eth0/7.forwarding is 0",
                "net.ipv4.conf.eth0/7.rp_filter is 1 (strict)",
                "net.ipv4.ip_local_port_range is 1024 to 60999",
            ]
        );
    }

    #[test]
    fn machine_that_is_set_up_is_not_complained_of() {
        assert_eq!(
            said(&[
                ("ipv4/conf/eth0.7/forwarding", "1"),
                ("ipv4/conf/eth0.7/rp_filter", "1"),
                ("ipv4/conf/all/rp_filter", "2"),
                ("ipv4/ip_local_port_range", "32768\t60999"),
            ]),
            [""; 0]
        );
    }
}
