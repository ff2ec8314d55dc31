//! VIPs without eBPF, as minuteman did it: SYNs are queued to this process, which leads each
//! to a backend by an entry in the connection table.
//!
//! The rules and the set are in the kernel and outlive this process, and so do connections.
//! While no process reads the queues, SYNs to VIPs are dropped, and sent again by who connects.

mod command;
mod conntrack;
mod ledger;
mod netlink;
mod queue;
mod retiring;
mod rules;
mod set;
mod source;
mod syn;
mod workers;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddrV4,
    sync::{Arc, Mutex},
};

use muster_api::muster::Protocol;
use muster_packet::{Backend, Endpoint, MAX_COUNTERS, TCP};
use rand::{SeedableRng as _, TryRng as _, rngs::StdRng, rngs::SysRng};

use crate::{
    BackendStatus, Changes, Config, Error, Policy, Skipped, Skips, Snapshot, VipStatus,
    desired::{Wanted, endpoint_text},
    plan,
    plane::now_ns,
    skips::Told,
    status,
    table::Slots,
    view::{News, View},
};

use conntrack::Events;
use ledger::Ledger;
use queue::{QUEUES, Queue};
pub(crate) use retiring::Retiring;
use rules::Rules;
use set::Sets;
use workers::{Shared, Workers, look};

/// The data plane by NFQUEUE, open in one process.
///
/// Dropping it changes nothing in the kernel.
pub(crate) struct Nfqueue {
    policy: Policy,
    rules: Rules,
    sets: Sets,
    ledger: Shared,
    /// Bound, but not read until it is known what to answer: SYNs wait there.
    waiting: Option<(Vec<Queue>, Events)>,
    workers: Option<Workers>,
    view: View,
    skips: Skips,
    told: Told,
    /// What is in the set; `None` if that is not known.
    members: Option<BTreeSet<SocketAddrV4>>,
}

// === impl Nfqueue ===

impl Nfqueue {
    /// Opens the data plane of this network, taking over what an earlier process left. From
    /// here on SYNs to the VIPs of that process wait; they are answered by the first
    /// [`reconcile`](Self::reconcile).
    ///
    /// # Errors
    ///
    /// What is missing: [`Error::NoProgram`], [`Error::Queue`], [`Error::Command`],
    /// [`Error::Netlink`]; [`Error::QueueBusy`] if another process has it open.
    pub(crate) fn open(config: &Config) -> Result<Self, Error> {
        let (rules, sets) = (Rules::new()?, Sets::new()?);
        let queues = QUEUES.map(Queue::bind).collect::<Result<Vec<_>, _>>()?;
        // Who listens before an entry is made hears of it.
        let events = Events::open().map_err(|source| Error::Netlink {
            step: "listening to the connection table",
            source,
        })?;
        let mut seed = <StdRng as rand::SeedableRng>::Seed::default();
        SysRng.try_fill_bytes(&mut seed).map_err(|error| Error::Call {
            call: "getrandom",
            source: std::io::Error::other(error),
        })?;
        sets.make()?;
        rules.translate()?;
        Ok(Self {
            policy: config.policy,
            rules,
            sets,
            ledger: Arc::new(Mutex::new(Ledger::new(StdRng::from_seed(seed)))),
            waiting: Some((queues, events)),
            workers: None,
            view: View::default(),
            skips: Skips::default(),
            told: Told::default(),
            members: None,
        })
    }

    /// Makes this network serve exactly the VIPs of the view, those of TCP over IPv4.
    ///
    /// A SYN sees a VIP with its old backends or with its new ones. Rules that were removed by
    /// hand are put back.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] if the set or the rules cannot be changed. The next call goes on from
    /// whatever was reached.
    pub(crate) fn reconcile(&mut self, news: News<'_>) -> Result<Changes, Error> {
        let changes = self.follow(news)?;
        self.rules.put()?;
        Ok(changes)
    }

    /// [`reconcile`](Self::reconcile) without the rules: what those that are there queue is
    /// answered.
    fn follow(&mut self, news: News<'_>) -> Result<Changes, Error> {
        // There is little that is written for each: all of it is compared.
        self.view.take(news, None);
        let mut skipped = self.view.skipped();
        let (desired, members) = servable(&self.view, &mut skipped);
        let mut changes = {
            let mut ledger = look(&self.ledger);
            let vips = desired.iter().map(|(vip, wanted)| (*vip, wanted));
            let all = plan::all(ledger.current(), vips);
            let plan = plan::plan(ledger.current(), &all, self.policy);
            for pair in &plan.uncounted {
                let error = Error::Full { map: "counters", entries: MAX_COUNTERS };
                skipped.push(Skipped::uncounted(pair, error));
            }
            ledger.apply(plan)
        };
        self.skips = Skips::of(&skipped);
        self.told.tell(&skipped);
        changes.skipped = skipped;
        if let Some((queues, events)) = self.waiting.take() {
            self.workers = Some(Workers::start(queues, events, &self.ledger)?);
        }
        if self.members.as_ref() != Some(&members) {
            self.members = None;
            self.sets.fill(&members)?;
            self.members = Some(members);
        }
        Ok(changes)
    }

    /// Every VIP with what was counted by this process, sorted by address.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Error> {
        let now_ns = now_ns()?;
        let ledger = look(&self.ledger);
        let vips = ledger.current().vips().keys();
        Ok(Snapshot {
            vips: vips.filter_map(|vip| self.show(&ledger, *vip, now_ns)).collect(),
            skips: self.skips.clone(),
            // What it has is in its memory.
            maps: Vec::new(),
            forwarded: Vec::new(),
            lacking: Vec::new(),
        })
    }

    /// What of the last view is not applied.
    pub(crate) fn skips(&self) -> &Skips {
        &self.skips
    }

    /// One VIP, or `None` if there is none at this address.
    pub(crate) fn vip(&self, vip: Endpoint) -> Result<Option<VipStatus>, Error> {
        Ok(self.show(&look(&self.ledger), vip, now_ns()?))
    }

    fn show(&self, ledger: &Ledger, vip: Endpoint, now_ns: u64) -> Option<VipStatus> {
        let entry = ledger.current().vips().get(&vip)?;
        let slots = ledger.current().slots(entry.table);
        let address = vip.socket_address();
        let shown = |slot: &Backend| {
            BackendStatus::new(slot, ledger.counted(slot.counter).as_ref(), now_ns)
        };
        Some(VipStatus {
            address,
            protocol: Protocol::Tcp,
            name: self.view.name(&vip),
            policy: status::policy(entry),
            backends: slots.into_iter().flat_map(Slots::iter).map(shown).collect(),
        })
    }
}

/// What of the view can be served, and the addresses that are in the set.
fn servable(
    view: &View,
    skipped: &mut Vec<Skipped>,
) -> (BTreeMap<Endpoint, Wanted>, BTreeSet<SocketAddrV4>) {
    let mut members = BTreeSet::new();
    let mut servable = BTreeMap::new();
    for (vip, wanted) in view.vips() {
        let refused = |field: &str, value: String, reason| Skipped::Field {
            vip: endpoint_text(vip),
            field: field.to_owned(),
            value,
            reason,
        };
        let Some(address) = status::v4(&vip) else {
            skipped.push(refused(
                "key.address",
                vip.socket_address().ip().to_string(),
                "NFQUEUE serves IPv4 only",
            ));
            continue;
        };
        if vip.protocol != TCP {
            let value = vip.protocol.to_string();
            skipped.push(refused("key.protocol", value, "NFQUEUE serves TCP only"));
            continue;
        }
        if members.len() == set::MOST {
            let error = Error::Full { map: "ipset minuteman", entries: set::MOST };
            skipped.push(Skipped::Write { vip: endpoint_text(vip), error });
            continue;
        }
        let (kept, other): (Vec<_>, Vec<_>) =
            wanted.backends.iter().copied().partition(|(backend, _)| status::v4(backend).is_some());
        for (backend, _) in other {
            let value = endpoint_text(backend);
            skipped.push(refused("backends.address", value, "NFQUEUE serves IPv4 only"));
        }
        members.insert(address);
        servable.insert(vip, Wanted { policy: wanted.policy, backends: kept });
    }
    (servable, members)
}

/// True if NFQUEUE serves VIPs in this network, or has done so and not all is removed.
///
/// # Errors
///
/// [`Error::Netlink`].
pub(crate) fn exists() -> Result<bool, Error> {
    set::exists()
}

/// Removes everything of NFQUEUE from this network. Connections to VIPs that it leads end.
///
/// # Errors
///
/// [`Error::QueueBusy`] if a process reads the queues; [`Error::Command`].
pub(crate) fn remove() -> Result<(), Error> {
    if !set::exists()? {
        return Ok(());
    }
    let _queues = QUEUES.map(Queue::bind).collect::<Result<Vec<_>, _>>()?;
    rules::remove()?;
    rules::stop_translating()?;
    Sets::new()?.destroy()
}
