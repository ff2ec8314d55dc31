//! The set `minuteman`: addresses and ports of TCP VIPs, which the rules look at.

use std::{collections::BTreeSet, fmt::Write as _, io, net::SocketAddrV4, path::PathBuf};

use muster_packet::TCP;
use nix::libc;

use super::{
    command,
    netlink::{self, Message, Socket},
};
use crate::Error;

/// Its name, which is in the rules, too.
const NAME: &str = "minuteman";

/// Made anew with each change, and swapped with the other.
const NEXT: &str = "minuteman-tmp";

/// How many VIPs it takes.
pub(super) const MOST: usize = 65_536;

/// `IPSET_CMD_HEADER`: asks of what kind a set is.
const HEADER: u8 = 12;
const PROTOCOL: u16 = 1;
const SETNAME: u16 = 2;
/// Versions 6 and 7 ask this in the same way.
const VERSION: u8 = 6;

/// `AF_INET`.
#[expect(clippy::cast_possible_truncation, reason = "it is 2")]
const INET: u8 = libc::AF_INET as u8;

/// The program by which sets are changed.
#[derive(Clone, Debug)]
pub(super) struct Sets {
    program: PathBuf,
}

// === impl Sets ===

impl Sets {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { program: command::find("ipset", "ipset")? })
    }

    /// Makes the set if it is not there; one that is there keeps what is in it.
    pub(super) fn make(&self) -> Result<(), Error> {
        command::run(&self.program, "restore", &creation(NAME))
    }

    /// Gives the set these members, all at once to who looks.
    pub(super) fn fill(&self, members: &BTreeSet<SocketAddrV4>) -> Result<(), Error> {
        let mut input = creation(NAME) + &creation(NEXT) + "flush " + NEXT + "\n";
        for member in members {
            // TCP by its number: names are in /etc/protocols, which a small machine has not. Writing
            // to a string cannot fail.
            let _ = writeln!(input, "add {NEXT} {},{TCP}:{}", member.ip(), member.port());
        }
        let _ = writeln!(input, "swap {NEXT} {NAME}\ndestroy {NEXT}");
        command::run(&self.program, "restore", &input)
    }

    /// Removes the set, which no rule may name any more.
    pub(super) fn destroy(&self) -> Result<(), Error> {
        for name in [NEXT, NAME] {
            if is_there(name)? {
                command::run(&self.program, &format!("destroy {name}"), "")?;
            }
        }
        Ok(())
    }
}

fn creation(name: &str) -> String {
    format!("create {name} hash:ip,port family inet hashsize 1024 maxelem {MOST} -exist\n")
}

/// True if this network has the set: somebody serves VIPs by it, or did.
pub(super) fn exists() -> Result<bool, Error> {
    is_there(NAME)
}

fn is_there(name: &str) -> Result<bool, Error> {
    let ask = || -> io::Result<()> {
        let mut message = Message::new(netlink::IPSET, HEADER, 0, INET, 0);
        let text = [name.as_bytes(), b"\0"].concat();
        message.put(PROTOCOL, &[VERSION]).put(SETNAME, &text);
        Socket::open(0)?.ask(&mut message, |_| {})
    };
    match ask() {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // A kernel that knows no sets.
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::EINVAL | libc::EPROTONOSUPPORT | libc::EOPNOTSUPP)
            ) =>
        {
            Ok(false)
        }
        Err(source) => Err(Error::Netlink { step: "asking for an ipset", source }),
    }
}
