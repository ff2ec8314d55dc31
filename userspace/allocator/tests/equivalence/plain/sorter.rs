//! The order of clients, computed anew each time it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use muster_resources::{Name, Quantities, Resources};

use muster_allocator::{Draw, SorterKind};

/// Clients by path, with what they have of each agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sorter {
    kind: SorterKind,
    clients: BTreeMap<String, Client>,
    /// Allocation counts of all nodes, by path; a client that has others below it counts
    /// at `path/.` too.
    counts: BTreeMap<String, u64>,
    weights: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, Default)]
struct Client {
    active: bool,
    allocation: BTreeMap<String, Resources>,
}

/// One node among its siblings.
struct Node {
    path: String,
    client: Option<String>,
    children: Vec<Node>,
    active: bool,
    share: f64,
    weight: f64,
}

impl Node {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

impl Sorter {
    pub(crate) fn new(kind: SorterKind) -> Self {
        Self { kind, ..Self::default() }
    }

    pub(crate) fn contains(&self, client: &str) -> bool {
        self.clients.contains_key(client)
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = (&String, bool)> {
        self.clients.iter().map(|(path, client)| (path, client.active))
    }

    fn has_below(&self, path: &str) -> bool {
        self.clients.keys().any(|client| muster_resources::role::is_strict_subrole_of(client, path))
    }

    pub(crate) fn add(&mut self, client: &str) {
        for ancestor in muster_resources::role::ancestors(client) {
            let virtual_leaf = format!("{ancestor}/.");
            if self.clients.contains_key(ancestor) && !self.counts.contains_key(&virtual_leaf) {
                let count = self.counts.get(ancestor).copied().unwrap_or_default();
                self.counts.insert(virtual_leaf, count);
            }
            self.counts.entry(ancestor.to_owned()).or_default();
        }
        if self.has_below(client) {
            self.counts.insert(format!("{client}/."), 0);
        }
        self.counts.entry(client.to_owned()).or_default();
        self.clients.insert(client.to_owned(), Client::default());
    }

    pub(crate) fn remove(&mut self, client: &str) {
        self.clients.remove(client);
        self.counts.remove(&format!("{client}/."));
        let paths: Vec<String> = std::iter::once(client)
            .chain(muster_resources::role::ancestors(client))
            .map(str::to_owned)
            .collect();
        for path in paths {
            match (self.has_below(&path), self.clients.contains_key(&path)) {
                (false, false) => {
                    self.counts.remove(&path);
                }
                (false, true) => {
                    self.counts.remove(&format!("{path}/."));
                }
                (true, _) => {}
            }
        }
    }

    pub(crate) fn set_active(&mut self, client: &str, active: bool) {
        if let Some(client) = self.clients.get_mut(client) {
            client.active = active;
        }
    }

    pub(crate) fn set_weight(&mut self, path: &str, weight: f64) {
        self.weights.insert(path.to_owned(), weight);
    }

    pub(crate) fn weight(&self, path: &str) -> f64 {
        self.weights.get(path).copied().unwrap_or(1.0)
    }

    pub(crate) fn allocated(&mut self, client: &str, agent: &str, resources: &Resources) {
        let below = self.has_below(client);
        if let Some(found) = self.clients.get_mut(client) {
            *found.allocation.entry(agent.to_owned()).or_default() += resources;
        }
        let virtual_leaf = below.then(|| format!("{client}/."));
        let ancestors = muster_resources::role::ancestors(client).map(str::to_owned);
        for path in virtual_leaf.into_iter().chain([client.to_owned()]).chain(ancestors) {
            *self.counts.entry(path).or_default() += 1;
        }
    }

    pub(crate) fn unallocated(&mut self, client: &str, agent: &str, resources: &Resources) {
        if let Some(found) = self.clients.get_mut(client)
            && let Some(held) = found.allocation.get_mut(agent)
        {
            *held -= resources;
            if held.is_empty() {
                found.allocation.remove(agent);
            }
        }
    }

    /// Puts something else in place of what a client has, which is no new allocation.
    pub(crate) fn update(&mut self, client: &str, agent: &str, old: &Resources, new: &Resources) {
        if let Some(found) = self.clients.get_mut(client) {
            let held = found.allocation.entry(agent.to_owned()).or_default();
            *held -= old;
            *held += new;
            if held.is_empty() {
                found.allocation.remove(agent);
            }
        }
    }

    pub(crate) fn has_allocation(&self, client: &str) -> bool {
        self.clients.get(client).is_some_and(|client| !client.allocation.is_empty())
    }

    /// What all clients for which `is_meant` have, by name; a shared resource of an agent
    /// counts once.
    pub(crate) fn quantities(&self, is_meant: impl Fn(&str) -> bool) -> Quantities {
        let mut by_agent: BTreeMap<&str, Resources> = BTreeMap::new();
        for (_, client) in self.clients.iter().filter(|(path, _)| is_meant(path)) {
            for (agent, resources) in &client.allocation {
                *by_agent.entry(agent).or_default() += &resources.clone().unallocated();
            }
        }
        let mut all = Quantities::default();
        for resources in by_agent.values() {
            all.add_all(&Quantities::of_scalars(resources));
        }
        all
    }

    fn share_of(
        &self,
        total: &Quantities,
        excluded: &BTreeSet<Name>,
        is_meant: impl Fn(&str) -> bool,
    ) -> f64 {
        let held = self.quantities(is_meant);
        let share = |(name, total): (&Name, _)| held.get(name).ratio(total);
        total.iter().filter(|(name, _)| !excluded.contains(*name)).map(share).fold(0.0, f64::max)
    }

    /// Dominant share of one client alone, as it counts against its siblings.
    pub(crate) fn share(&self, client: &str, total: &Quantities, excluded: &BTreeSet<Name>) -> f64 {
        let share = self.share_of(total, excluded, |path| path == client);
        if self.has_below(client) { share } else { share / self.weight(client) }
    }

    pub(crate) fn count(&self, client: &str) -> u64 {
        let path = if self.has_below(client) { format!("{client}/.") } else { client.to_owned() };
        self.counts.get(&path).copied().unwrap_or_default()
    }

    fn tree(&self, path: &str, total: &Quantities, excluded: &BTreeSet<Name>) -> Vec<Node> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let names: BTreeSet<&str> = self
            .clients
            .keys()
            .filter_map(|client| client.strip_prefix(&prefix)?.split('/').next())
            .collect();
        let mut nodes: Vec<Node> = names
            .into_iter()
            .map(|name| {
                let path = format!("{prefix}{name}");
                let weight = self.weight(&path);
                let is_meant =
                    |client: &str| client == path || client.starts_with(&format!("{path}/"));
                let share = self.share_of(total, excluded, is_meant) / weight;
                let leaf = !self.has_below(&path);
                let mut children =
                    if leaf { Vec::new() } else { self.tree(&path, total, excluded) };
                if let Some(client) = self.clients.get(&path).filter(|_| !leaf) {
                    children.push(Node {
                        path: format!("{path}/."),
                        client: Some(path.clone()),
                        children: Vec::new(),
                        active: client.active,
                        share: self.share_of(total, excluded, |client| client == path),
                        weight: 1.0,
                    });
                }
                let active = match self.clients.get(&path).filter(|_| leaf) {
                    Some(client) => client.active,
                    None => children.iter().any(|child| child.active),
                };
                Node { client: leaf.then(|| path.clone()), path, children, active, share, weight }
            })
            .collect();
        nodes.retain(|node| node.active);
        nodes.sort_by(|a, b| a.name().cmp(b.name()));
        nodes
    }

    /// The active clients, in the order in which they are to be served.
    pub(crate) fn sort(
        &self,
        total: &Quantities,
        excluded: &BTreeSet<Name>,
        draw: Draw,
    ) -> Vec<String> {
        let mut tree = self.tree("", total, excluded);
        let mut order = Vec::new();
        match self.kind {
            SorterKind::Drf => self.list(&mut tree, &mut order),
            SorterKind::Random => {
                let mut keyed = Vec::new();
                draw_keys(&tree, 1.0, draw, &mut keyed);
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
                order.extend(keyed.into_iter().map(|(_, client)| client));
            }
        }
        order
    }

    fn list(&self, nodes: &mut [Node], order: &mut Vec<String>) {
        let count = |node: &Node| self.counts.get(&node.path).copied().unwrap_or_default();
        nodes.sort_by(|a, b| {
            a.share
                .total_cmp(&b.share)
                .then_with(|| count(a).cmp(&count(b)))
                .then_with(|| a.path.cmp(&b.path))
        });
        for node in nodes {
            order.extend(node.client.clone());
            self.list(&mut node.children, order);
        }
    }
}

/// Keys of a weighted shuffle (Efraimidis and Spirakis, 2006): the highest u^(1/w) first, or
/// ln(u)/w, which gives the same order.
fn draw_keys(nodes: &[Node], relative: f64, draw: Draw, keyed: &mut Vec<(f64, String)>) {
    let sum: f64 = nodes.iter().map(|node| node.weight).sum();
    for node in nodes {
        let relative = relative * node.weight / sum;
        if let Some(client) = &node.client {
            let key = -draw.of_text(client).fraction().ln() / relative;
            keyed.push((key, client.clone()));
        }
        draw_keys(&node.children, relative, draw, keyed);
    }
}
