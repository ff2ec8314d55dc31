//! minuteman's rules: SYNs to VIPs are queued, and refused if nobody could translate them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tracing::{debug, info};

use super::command;
use crate::Error;

/// What all four rules match: the beginning of a TCP connection to a VIP.
const SYN_TO_VIP: &str =
    "-p tcp -m set --match-set minuteman dst,dst -m tcp --tcp-flags FIN,SYN,RST,ACK SYN";

const ENQUEUE: &str = "-j NFQUEUE --queue-balance 50:58";
const REFUSE: &str = "-j REJECT --reject-with icmp-port-unreachable";

/// Table, chain and what to do. What refuses comes first, so that no packet goes through
/// untranslated while they are being put in place.
const RULES: [(&str, &str, &str); 4] = [
    ("filter", "OUTPUT", REFUSE),
    ("filter", "FORWARD", REFUSE),
    ("raw", "OUTPUT", ENQUEUE),
    ("raw", "PREROUTING", ENQUEUE),
];

/// Matches nothing. Since Linux 4.18 a network tracks and translates connections only while
/// some rule needs it to; entries made by hand are not followed otherwise.
const TRANSLATE: (&str, &str, &str) =
    ("nat", "OUTPUT", "-d 255.255.255.255/32 -p tcp -j DNAT --to-destination 127.0.0.1");

/// The program under all its names, the one the system prefers first.
const VARIANTS: [&str; 3] = ["iptables", LEGACY, "iptables-nft"];
const LEGACY: &str = "iptables-legacy";

/// Tables of this network that the older variant has made.
const LEGACY_TABLES: &str = "/proc/thread-self/net/ip_tables_names";

/// A variant of iptables that works on this kernel.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    program: PathBuf,
}

// === impl Rules ===

impl Rules {
    /// Finds a variant that works.
    ///
    /// # Errors
    ///
    /// [`Error::NoProgram`] if there is none; otherwise what the last one said.
    pub(super) fn new() -> Result<Self, Error> {
        let mut problem = Error::NoProgram { name: "iptables", package: "iptables" };
        for name in VARIANTS {
            let Ok(program) = command::find(name, "iptables") else { continue };
            let lists = |table| command::run(&program, &format!("-w -t {table} -S"), "");
            match ["raw", "nat", "filter"].into_iter().try_for_each(lists) {
                Ok(()) => return Ok(Self { program }),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    /// Has connections tracked and translated, before anything is queued.
    pub(super) fn translate(&self) -> Result<(), Error> {
        self.insert(TRANSLATE)
    }

    /// Puts each rule that is not there at the head of its chain.
    pub(super) fn put(&self) -> Result<(), Error> {
        self.translate()?;
        RULES.into_iter().try_for_each(|rule| self.insert(rule))
    }

    fn insert(&self, (table, chain, rule): (&str, &str, &str)) -> Result<(), Error> {
        if has(&self.program, (table, chain, rule))? {
            return Ok(());
        }
        info!(table, chain, "rule inserted");
        let set = rule_text(rule);
        command::run(&self.program, &format!("-w -t {table} -I {chain} 1 {set}"), "")
    }
}

/// Takes the four rules away, whichever variant has put them there. Packets that are queued
/// already stay so.
pub(super) fn remove() -> Result<(), Error> {
    // What queues goes first: what is translated is not refused.
    RULES.into_iter().rev().try_for_each(remove_everywhere)
}

/// Lets connections be untranslated again. Those that are translated now end.
pub(super) fn stop_translating() -> Result<(), Error> {
    remove_everywhere(TRANSLATE)
}

fn remove_everywhere((table, chain, rule): (&str, &str, &str)) -> Result<(), Error> {
    for name in VARIANTS {
        let Ok(program) = command::find(name, "iptables") else { continue };
        // It would make the table by looking for a rule in it.
        let made = || fs::read_to_string(LEGACY_TABLES).unwrap_or_default();
        if name == LEGACY && !made().lines().any(|of| of == table) {
            continue;
        }
        while has(&program, (table, chain, rule))? {
            debug!(table, chain, "rule removed");
            let set = rule_text(rule);
            command::run(&program, &format!("-w -t {table} -D {chain} {set}"), "")?;
        }
    }
    Ok(())
}

fn has(program: &Path, (table, chain, rule): (&str, &str, &str)) -> Result<bool, Error> {
    let set = rule_text(rule);
    let output = command::output(program, &format!("-w -t {table} -C {chain} {set}"), "")?;
    Ok(output.status.success())
}

fn rule_text(rule: &str) -> String {
    if rule == TRANSLATE.2 { rule.to_owned() } else { format!("{SYN_TO_VIP} {rule}") }
}
