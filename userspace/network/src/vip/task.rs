//! Labels of a whole task, as DC/OS had them before ports had labels: `VIP_PORT0` =
//! `tcp://10.1.2.3:80`.

use super::{Asked, Label, LabelError};

/// What comes before the number in a key, in any case.
const KEY: &str = "VIP_PORT";

/// Which protocol a VIP is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `tcp`.
    Tcp,
    /// `udp`.
    Udp,
}

/// A label that asks for a VIP for one of a task's host ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskLabel {
    /// Which of them: counted from 0, in the order of the task's resources `ports`.
    pub index: usize,
    /// Which protocol the VIP is for, whatever the port's.
    pub transport: Transport,
    /// The VIP.
    pub label: Label,
}

// === impl Asked ===

impl Asked<TaskLabel> {
    /// Reads labels of a task that has so many host ports. One that cannot be read takes none of the others
    /// down.
    pub fn of_task<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>, ports: usize) -> Self {
        Self::read(
            labels,
            |key| index(key).is_some(),
            |key, value| {
                // Only such keys are asked about.
                let index = index(key).filter(|index| *index < ports);
                let index = index.ok_or_else(|| LabelError::Index(key.to_owned(), ports))?;
                let (transport, rest) = [Transport::Tcp, Transport::Udp]
                    .into_iter()
                    .find_map(|t| Some((t, value.strip_prefix(t.name())?.strip_prefix("://")?)))
                    .ok_or_else(|| LabelError::Transport(value.to_owned()))?;
                Ok(TaskLabel { index, transport, label: rest.parse()? })
            },
        )
    }
}

/// The number of the port that a key is about. Keys without one are of no concern.
fn index(key: &str) -> Option<usize> {
    let (name, number) = key.split_at_checked(KEY.len())?;
    let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    // There are not so many ports that a larger one were any of them.
    (name.eq_ignore_ascii_case(KEY) && is_number).then(|| number.parse().unwrap_or(usize::MAX))
}

// === impl Transport ===

impl Transport {
    /// As labels name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_packet::Policy;

    use super::super::Wanted;
    use super::*;

    fn asked(labels: &[(&str, &str)], ports: usize) -> Asked<TaskLabel> {
        Asked::of_task(labels.iter().copied(), ports)
    }

    #[test]
    fn labels_ask_by_the_ports_number() {
        let asked = asked(
            &[
                ("VIP_PORT0", "tcp://10.1.2.3:80"),
                ("VIP_PORT0_WEIGHT", "3"),
                ("vip_port1", "udp:///dns:53"),
                ("vip_port1_policy", "maglev"),
                ("Vip_Port01", "tcp://[fd02::1]:81"),
                // No numbers, and no concern of ours.
                ("VIP_PORT", "x"),
                ("VIP_PORTAL", "x"),
                ("VIP_PORT-1", "x"),
                ("VIP_0", "/web:80"),
                ("VIP_POLICY", "x"),
            ],
            2,
        );
        let label = |index, transport, label: &str, policy, weight| Wanted {
            vip: TaskLabel { index, transport, label: label.parse().unwrap() },
            policy,
            weight,
        };
        assert_eq!(asked.refused, [].into());
        assert_eq!(
            asked.vips,
            [
                label(0, Transport::Tcp, "10.1.2.3:80", None, Some(3)),
                label(1, Transport::Tcp, "fd02::1:81", None, None),
                label(1, Transport::Udp, "/dns:53", Some(Policy::Maglev), None),
            ]
        );
    }

    #[test]
    fn what_cannot_be_given_is_refused_with_what_to_write() {
        for (key, value, ports, error) in [
            (
                "VIP_PORT1",
                "tcp://a:1",
                1,
                "label \"VIP_PORT1\" is for a host port that there is not: there are 1, counted from 0",
            ),
            ("VIP_PORT0", "tcp://a:1", 0, "there are 0, counted from 0"),
            ("VIP_PORT99999999999999999999999", "tcp://a:1", 3, "there are 3, counted from 0"),
            (
                "VIP_PORT0",
                "/web:80",
                1,
                "VIP label \"/web:80\" names no protocol that VIPs are for: write tcp:// or udp:// before",
            ),
            ("VIP_PORT0", "sctp://10.1.2.3:80", 1, "write tcp:// or udp:// before"),
            ("VIP_PORT0", "TCP://10.1.2.3:80", 1, "write tcp:// or udp:// before"),
            ("VIP_PORT0", "tcp://10.1.2.3:0", 1, "port \"0\" is not a number from 1 to 65535"),
            ("VIP_PORT0", "tcp://127.0.0.1:80", 1, "127.0.0.1 is a loopback"),
            ("VIP_PORT0", "udp://", 1, "VIP label \"\" has no port"),
            ("VIP_PORT0_POLICY", "maglev", 1, "has no VIP: give the label \"VIP_PORT0\""),
        ] {
            let asked = asked(&[(key, value)], ports);
            assert_eq!(asked.vips, []);
            let message = asked.refused[key].to_string();
            assert!(message.contains(error), "{key}={value}: {message}");
        }
    }
}
