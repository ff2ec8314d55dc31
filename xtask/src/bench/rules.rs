//! Services by rules of the kernel, as kube-proxy writes them.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;

use anyhow::Result;
use muster_harness::{NetNs, command};

/// One service, and others beside it.
pub(super) struct Rules<'a> {
    /// The service.
    pub(super) vip: SocketAddrV4,
    pub(super) backends: &'a [SocketAddrV4],
    /// Services in all. The others have the same backends.
    pub(super) services: usize,
    /// Where its packets are seen.
    pub(super) hook: Hook,
}

/// Where packets are seen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hook {
    /// Where they begin.
    Output,
    /// On their way, to go on from this address.
    Forward(Ipv4Addr),
}

/// The address of the first of the others.
const OTHERS: Ipv4Addr = Ipv4Addr::new(11, 2, 0, 0);
/// What is balanced: the service has both, at one port.
const PROTOCOLS: [&str; 2] = ["tcp", "udp"];

// === impl Rules ===

impl Rules<'_> {
    /// All services, ours in the middle of them.
    fn services(&self) -> impl Iterator<Item = (usize, SocketAddrV4)> {
        let other = |number: usize| {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            SocketAddrV4::new(Ipv4Addr::from(u32::from(OTHERS) + number), self.vip.port())
        };
        let ours = self.services / 2;
        (0..self.services)
            .map(move |number| (number, if number == ours { self.vip } else { other(number) }))
    }

    /// Has iptables follow them on a machine.
    pub(super) fn load_iptables(&self, netns: &NetNs) -> Result<()> {
        let mut restore = Command::new("iptables-restore");
        restore.arg("-w");
        netns.place(&mut restore)?;
        command::output_with_input(&mut restore, self.iptables().as_bytes())?;
        Ok(())
    }

    /// Has nftables follow them on a machine.
    pub(super) fn load_nftables(&self, netns: &NetNs) -> Result<()> {
        let mut nft = Command::new("nft");
        nft.args(["-f", "-"]);
        netns.place(&mut nft)?;
        command::output_with_input(&mut nft, self.nftables().as_bytes())?;
        Ok(())
    }

    /// Input of `iptables-restore`: a chain for each service, in it one rule a backend, by chance.
    fn iptables(&self) -> String {
        let (mut chains, mut rules) = (vec![":SERVICES - [0:0]\n".to_owned()], Vec::new());
        let seen = if matches!(self.hook, Hook::Output) { "OUTPUT" } else { "PREROUTING" };
        rules.push(format!("-A {seen} -j SERVICES\n"));
        for (number, service) in self.services() {
            chains.push(format!(":SERVICE-{number} - [0:0]\n"));
            for protocol in PROTOCOLS {
                rules.push(format!(
                    "-A SERVICES -d {}/32 -p {protocol} --dport {} -j SERVICE-{number}\n",
                    service.ip(),
                    service.port()
                ));
                for (index, backend) in self.backends.iter().enumerate() {
                    let chance = match self.backends.len() - index {
                        1 => String::new(),
                        left => {
                            let chance = 1.0 / f64::from(u32::try_from(left).unwrap_or(u32::MAX));
                            format!("-m statistic --mode random --probability {chance:.10} ")
                        }
                    };
                    rules.push(format!(
                        "-A SERVICE-{number} {chance}-p {protocol} -j DNAT --to-destination {backend}\n"
                    ));
                }
            }
        }
        if let Hook::Forward(source) = self.hook {
            rules.push(format!(
                "-A POSTROUTING -m conntrack --ctstate DNAT -j SNAT --to-source {source}\n"
            ));
        }
        format!("*nat\n{}{}COMMIT\n", chains.concat(), rules.concat())
    }

    /// Input of `nft -f`: a map has the services, another one their backends by chance.
    fn nftables(&self) -> String {
        let backends: Vec<String> = self
            .backends
            .iter()
            .enumerate()
            .map(|(index, backend)| format!("{index} : {} . {}", backend.ip(), backend.port()))
            .collect();
        let elements: Vec<String> = self
            .services()
            .flat_map(|(_, service)| {
                PROTOCOLS.map(|protocol| {
                    format!("{protocol} . {} . {} : goto service", service.ip(), service.port())
                })
            })
            .collect();
        let (hook, source) = match self.hook {
            Hook::Output => ("output", String::new()),
            Hook::Forward(source) => (
                "prerouting",
                format!(
                    "chain source {{\ntype nat hook postrouting priority 100\n\
                     ct status dnat snat to {source}\n}}\n"
                ),
            ),
        };
        format!(
            "table ip bench {{\n\
             map services {{\ntype inet_proto . ipv4_addr . inet_service : verdict\n\
             elements = {{ {} }}\n}}\n\
             chain service {{\nmeta l4proto {{ tcp, udp }} dnat ip to numgen random mod {} map {{ {} }}\n}}\n\
             chain seen {{\ntype nat hook {hook} priority -100\n\
             meta l4proto . ip daddr . th dport vmap @services\n}}\n{source}}}\n",
            elements.join(", "),
            self.backends.len(),
            backends.join(", "),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(hook: Hook, backends: &[SocketAddrV4]) -> Rules<'_> {
        Rules { vip: "11.1.1.1:80".parse().unwrap(), backends, services: 5, hook }
    }

    #[test]
    fn service_is_in_the_middle_of_others() {
        let rules = rules(Hook::Output, &[]);
        let services: Vec<String> =
            rules.services().map(|(_, service)| service.ip().to_string()).collect();
        assert_eq!(services, ["11.2.0.0", "11.2.0.1", "11.1.1.1", "11.2.0.3", "11.2.0.4"]);
    }

    #[test]
    fn every_backend_has_its_rule() {
        let backends: Vec<SocketAddrV4> =
            ["10.0.0.1:1", "10.0.0.2:1"].iter().map(|text| text.parse().unwrap()).collect();
        let rules = rules(Hook::Forward(Ipv4Addr::new(10, 0, 0, 9)), &backends);
        let iptables = rules.iptables();
        for backend in ["10.0.0.1:1", "10.0.0.2:1"] {
            assert_eq!(iptables.matches(&format!("DNAT --to-destination {backend}\n")).count(), 10);
        }
        assert_eq!(iptables.matches("--to-source 10.0.0.9").count(), 1);
        let nftables = rules.nftables();
        assert_eq!(nftables.matches("goto service").count(), 10);
        assert!(nftables.contains("0 : 10.0.0.1 . 1, 1 : 10.0.0.2 . 1"), "{nftables}");
        assert!(nftables.contains("snat to 10.0.0.9"), "{nftables}");
    }
}
