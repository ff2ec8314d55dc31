//! The cluster view and its versions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use muster_api::muster::{AgentEntry, Backend, Protocol, ViewDelta, ViewSnapshot, Vip, VipKey};
use muster_network::vip::Policy;

/// How long a VIP that lost its last task stays, without backends. Connections to it
/// are refused meanwhile instead of leaving for the network's default route.
const LINGER: Duration = Duration::from_mins(5);

/// What identifies a VIP, in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The virtual address.
    pub address: IpAddr,
    /// 1 to 65535.
    pub port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// One VIP that one task serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The VIP.
    pub key: Key,
    /// Its DNS name; empty for a VIP given by address.
    pub name: String,
    /// By what its backends are to be chosen, if the task says so.
    pub policy: Option<Policy>,
    /// The share of connections that it is to get, if the task says so; 1 otherwise.
    pub weight: Option<u16>,
    /// Where the task serves it; `None` if it is reached nowhere: it has neither a host port nor an address.
    pub backend: Option<SocketAddr>,
}

/// A task's claims and whether they count now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// What it claims.
    pub claims: Vec<Claim>,
    /// The agent it runs on.
    pub agent: String,
    /// Whether it gets new connections.
    pub takes: bool,
}

#[derive(Debug, Default)]
struct Entry {
    name: String,
    /// By task, as `<framework>/<task>`.
    backends: BTreeMap<String, Vec<Backend>>,
    /// By task: what it wants of the policy.
    policies: BTreeMap<String, Policy>,
    empty_since: Option<Duration>,
}

/// The view, and what has changed in it since the last [`View::flush`].
#[derive(Debug)]
pub struct View {
    epoch: String,
    version: u64,
    agents: BTreeMap<String, AgentEntry>,
    vips: BTreeMap<Key, Entry>,
    claimants: BTreeMap<String, Claimant>,
    /// Tasks of which it is not known whether they serve their VIPs still.
    stranded: BTreeSet<String>,
    /// Addresses of machines, and how many agents say that one is theirs; the master's own counts too.
    machines: BTreeMap<IpAddr, usize>,
    dirty_agents: BTreeSet<String>,
    dirty_vips: BTreeSet<Key>,
}

impl View {
    /// An empty view of the epoch. No VIP is at `own`, the master's address.
    pub fn new(epoch: String, own: IpAddr) -> Self {
        Self {
            epoch,
            version: 0,
            agents: BTreeMap::new(),
            vips: BTreeMap::new(),
            claimants: BTreeMap::new(),
            stranded: BTreeSet::new(),
            machines: BTreeMap::from([(own, 1)]),
            dirty_agents: BTreeSet::new(),
            dirty_vips: BTreeSet::new(),
        }
    }

    /// Adds or changes an agent.
    pub fn set_agent(&mut self, entry: AgentEntry) {
        if self.agents.get(&entry.agent_id) != Some(&entry) {
            self.remove_agent(&entry.agent_id.clone());
            self.occupy(&entry.address, true);
            self.dirty_agents.insert(entry.agent_id.clone());
            self.agents.insert(entry.agent_id.clone(), entry);
        }
    }

    /// Removes an agent.
    pub fn remove_agent(&mut self, id: &str) {
        if let Some(entry) = self.agents.remove(id) {
            self.occupy(&entry.address, false);
            self.dirty_agents.insert(id.to_owned());
        }
    }

    /// Notes that one machine more, or less, has an address. VIPs there appear or vanish with the last: who
    /// connects to a machine must not end up elsewhere.
    fn occupy(&mut self, address: &str, comes: bool) {
        // Agents' addresses were parsed when they registered.
        let Ok(address) = address.parse() else { return };
        let machines = self.machines.entry(address).or_default();
        *machines = if comes { *machines + 1 } else { machines.saturating_sub(1) };
        if *machines == 0 {
            self.machines.remove(&address);
        }
        let first = Key { address, port: 0, protocol: Protocol::default() };
        let here = self.vips.range(first..).take_while(|(key, _)| key.address == address);
        for (key, _) in here {
            if comes {
                tracing::warn!(vip = ?key, "is not served: its address is now a machine's");
            }
            self.dirty_vips.insert(*key);
        }
    }

    /// Sets what a task serves; no claims, or none any more, is an empty claimant.
    pub fn set_task(&mut self, task: &str, claimant: Option<Claimant>) {
        let was_stranded = self.stranded.remove(task);
        if self.claimants.get(task) == claimant.as_ref() && !was_stranded {
            return;
        }
        if let Some(old) = self.claimants.remove(task) {
            for claim in old.claims {
                if let Some(entry) = self.vips.get_mut(&claim.key) {
                    entry.backends.remove(task);
                    entry.policies.remove(task);
                    self.dirty_vips.insert(claim.key);
                }
            }
        }
        let Some(claimant) = claimant else { return };
        let id = task.rsplit_once('/').map_or(task, |(_, id)| id);
        for claim in &claimant.claims {
            if self.machines.contains_key(&claim.key.address) {
                tracing::warn!(task, vip = ?claim.key, "is not served: its address is a machine's");
            }
            let entry = self.vips.entry(claim.key).or_default();
            entry.name.clone_from(&claim.name);
            entry.empty_since = None;
            if let Some(policy) = claim.policy {
                entry.policies.insert(task.to_owned(), policy);
                if let Some(served) = entry.policy().filter(|served| *served != policy) {
                    let (wanted, served) = (policy.name(), served.name());
                    tracing::warn!(task, vip = ?claim.key, wanted, served, "tasks of one VIP want different policies");
                }
            }
            let backends = entry.backends.entry(task.to_owned()).or_default();
            if let Some(backend) = claim.backend {
                backends.push(Backend {
                    address: backend.ip().to_string(),
                    port: backend.port().into(),
                    weight: if claimant.takes { claim.weight.map_or(1, u32::from) } else { 0 },
                    agent_id: claimant.agent.clone(),
                    task_id: id.to_owned(),
                });
            } else {
                let vip = claim.key;
                tracing::warn!(
                    task,
                    ?vip,
                    "is no backend: its port is no host port, and it has no address"
                );
            }
            self.dirty_vips.insert(claim.key);
        }
        self.claimants.insert(task.to_owned(), claimant);
    }

    /// Notes that a task's agent cannot be reached. Its VIPs do without it as long as another task serves them
    /// that can; a VIP that has no other keeps it: rather the master is cut off than all of them are gone. It
    /// stays until [`Self::set_task`] says otherwise, or it is released.
    pub fn strand(&mut self, task: &str) {
        if let Some(claimant) = self.claimants.get(task) {
            self.dirty_vips.extend(claimant.claims.iter().map(|claim| claim.key));
            self.stranded.insert(task.to_owned());
        }
    }

    /// Whether a task's agent cannot be reached.
    pub fn is_stranded(&self, task: &str) -> bool {
        self.stranded.contains(task)
    }

    /// Takes stranded tasks out, of which it is known now that they serve nothing.
    pub fn release(&mut self, is_over: impl Fn(&str, &Claimant) -> bool) {
        let claimant = |task: &String| self.claimants.get(task).is_some_and(|c| is_over(task, c));
        let over: Vec<_> = self.stranded.iter().filter(|task| claimant(task)).cloned().collect();
        for task in over {
            self.set_task(&task, None);
        }
    }

    /// Lets go of VIPs that have had no task for long.
    pub fn expire(&mut self, now: Duration) {
        self.vips.retain(|key, entry| {
            if !entry.backends.is_empty() {
                return true;
            }
            let since = *entry.empty_since.get_or_insert(now);
            let keep = now < since + LINGER;
            if !keep {
                self.dirty_vips.insert(*key);
            }
            keep
        });
    }

    /// Whether a task claims a VIP at this address, or did until not long ago.
    pub fn has_vip_at(&self, address: IpAddr) -> bool {
        let first = Key { address, port: 0, protocol: Protocol::default() };
        self.vips.range(first..).next().is_some_and(|(key, _)| key.address == address)
    }

    /// The step from the last flushed version to now, if anything differs.
    pub fn flush(&mut self) -> Option<ViewDelta> {
        if self.dirty_agents.is_empty() && self.dirty_vips.is_empty() {
            return None;
        }
        let mut delta = ViewDelta {
            epoch: self.epoch.clone(),
            from: self.version,
            to: self.version + 1,
            ..ViewDelta::default()
        };
        self.version += 1;
        for id in std::mem::take(&mut self.dirty_agents) {
            match self.agents.get(&id) {
                Some(entry) => delta.agents_changed.push(entry.clone()),
                None => delta.agents_removed.push(id),
            }
        }
        for key in std::mem::take(&mut self.dirty_vips) {
            match self.vips.get(&key).and_then(|entry| self.served(key, entry)) {
                Some(vip) => delta.vips_changed.push(vip),
                None => delta.vips_removed.push(wire_key(key)),
            }
        }
        Some(delta)
    }

    /// All of the last flushed version.
    pub fn snapshot(&self) -> ViewSnapshot {
        ViewSnapshot {
            epoch: self.epoch.clone(),
            version: self.version,
            agents: self.agents.values().cloned().collect(),
            vips: self.vips.iter().filter_map(|(key, entry)| self.served(*key, entry)).collect(),
        }
    }

    /// A VIP as agents are told of it; `None` if its address is a machine's.
    fn served(&self, key: Key, entry: &Entry) -> Option<Vip> {
        if self.machines.contains_key(&key.address) {
            return None;
        }
        let mut backends = entry.reachable(&self.stranded);
        backends.sort_by(|a, b| (&a.address, a.port).cmp(&(&b.address, b.port)));
        let policy = entry.policy().map_or_else(String::new, |policy| policy.name().to_owned());
        Some(Vip { key: Some(wire_key(key)), name: entry.name.clone(), backends, policy })
    }

    /// Whether an agent that holds this version needs nothing.
    pub fn is_current(&self, epoch: &str, version: u64) -> bool {
        self.epoch == epoch && self.version == version
    }
}

impl Entry {
    /// The backends of tasks that can be reached; of all if there are none.
    fn reachable(&self, stranded: &BTreeSet<String>) -> Vec<Backend> {
        let tasks = self.backends.iter().filter(|(task, _)| !stranded.contains(*task));
        let reachable: Vec<Backend> = tasks.flat_map(|(_, backends)| backends).cloned().collect();
        if reachable.is_empty() {
            return self.backends.values().flatten().cloned().collect();
        }
        reachable
    }

    /// That of the first task, by name, that wants one; an application's tasks have its name in front.
    fn policy(&self) -> Option<Policy> {
        self.policies.values().next().copied()
    }
}

fn wire_key(key: Key) -> VipKey {
    VipKey {
        address: key.address.to_string(),
        port: key.port.into(),
        protocol: key.protocol.into(),
    }
}

#[cfg(test)]
mod tests;
