//! What the kernel has to be told to do for packets to be forwarded. It is looked at and said, not
//! changed: it belongs to who runs the machine.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use muster_packet::{FIRST_PORT, LAST_PORT};
use tracing::warn;

const ROOT: &str = "/proc/sys/net";

/// Says what of this machine's settings keeps packets of the address's family that come by an interface from going on.
pub(crate) fn check(interface: &str, address: IpAddr) {
    let root = Path::new(ROOT);
    let problems = of_family(root, interface, address.is_ipv4()).into_iter();
    for problem in problems.chain(of_ports(root)) {
        warn!(interface, "{problem}");
    }
}

/// The same, without what does not depend on the family.
pub(crate) fn check_family(interface: &str, is_v4: bool) {
    for problem in of_family(Path::new(ROOT), interface, is_v4) {
        warn!(interface, "{problem}");
    }
}

fn read(root: &Path, path: &str) -> Option<String> {
    fs::read_to_string(root.join(path)).ok()
}

fn of_family(root: &Path, interface: &str, is_v4: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let number = |path: &str| read(root, path)?.trim().parse::<u32>().ok();
    let family = if is_v4 { "ipv4" } else { "ipv6" };
    // Of a name with dots, dots in the command are slashes.
    let shown = interface.replace('.', "/");
    if number(&format!("{family}/conf/{interface}/forwarding")) == Some(0) {
        let fix = if is_v4 {
            "sysctl -w net.ipv4.ip_forward=1".to_owned()
        } else {
            // Machines that forward take routes from advertisements only if told to.
            let routes = number(&format!("ipv6/conf/{interface}/accept_ra")) == Some(1);
            let routes =
                if routes { format!(" net.ipv6.conf.{shown}.accept_ra=2") } else { String::new() };
            format!("sysctl -w net.ipv6.conf.all.forwarding=1{routes}")
        };
        problems.push(format!(
            "net.{family}.conf.{shown}.forwarding is 0: packets to backends on other machines and \
             in containers are dropped; set it: {fix}"
        ));
    }
    let strict = |name: &str| number(&format!("ipv4/conf/{name}/rp_filter")) == Some(1);
    let loose = |name: &str| number(&format!("ipv4/conf/{name}/rp_filter")) == Some(2);
    // The kernel takes the larger of both.
    if is_v4 && (strict("all") || strict(interface)) && !loose("all") && !loose(interface) {
        problems.push(format!(
            "net.ipv4.conf.{shown}.rp_filter is 1 (strict): packets of clients that this machine \
             reaches by another interface are dropped; set it: sysctl -w net.ipv4.conf.{shown}.rp_filter=2"
        ));
    }
    problems
}

/// Of both families.
fn of_ports(root: &Path) -> Option<String> {
    let range = read(root, "ipv4/ip_local_port_range")?;
    let mut bounds = range.split_whitespace().map(str::parse::<u16>);
    let (Some(Ok(first)), Some(Ok(last))) = (bounds.next(), bounds.next()) else { return None };
    (first <= LAST_PORT && last >= FIRST_PORT).then(|| {
        format!(
            "net.ipv4.ip_local_port_range is {first} to {last}: of it, ports from {FIRST_PORT} to \
             {LAST_PORT} are also given to forwarded connections, and one of both may be cut off; \
             set it: sysctl -w net.ipv4.ip_local_port_range=\"{} {}\"",
            LAST_PORT + 1,
            last.max(60_999),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings as files; what is said of them.
    fn problems(settings: &[(&str, &str)], is_v4: bool) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (path, value) in settings {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{value}\n")).unwrap();
        }
        let problems = of_family(root.path(), "eth0.7", is_v4).into_iter();
        problems.chain(of_ports(root.path())).collect()
    }

    /// The first words of it.
    fn said(settings: &[(&str, &str)]) -> Vec<String> {
        let problems = problems(settings, true);
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

    #[test]
    fn ipv6_needs_its_own_setting_and_may_lose_its_routes_by_it() {
        let forwarding = ("ipv6/conf/eth0.7/forwarding", "0");
        let advertised = ("ipv6/conf/eth0.7/accept_ra", "1");
        let four = [("ipv4/conf/eth0.7/forwarding", "0"), ("ipv4/conf/all/rp_filter", "1")];
        let problem = |settings: &[_]| problems(settings, false).join("\n");
        let text = problem(&[&four[..], &[forwarding]].concat());
        assert!(text.starts_with("net.ipv6.conf.eth0/7.forwarding is 0: "), "{text}");
        assert!(text.ends_with("set it: sysctl -w net.ipv6.conf.all.forwarding=1"), "{text}");
        let text = problem(&[forwarding, advertised]);
        assert!(text.ends_with("forwarding=1 net.ipv6.conf.eth0/7.accept_ra=2"), "{text}");
        assert_eq!(problem(&[advertised]), "");
    }
}
