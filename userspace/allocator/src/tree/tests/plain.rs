//! The same tree, worked out anew from what its clients have whenever it is asked.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::amounts::Amounts;
use crate::pool::Pool;

/// What is known of a client.
#[derive(Clone, Debug, Default)]
pub(super) struct Client {
    pub(super) held: Amounts,
    pub(super) active: bool,
    pub(super) closed: bool,
}

/// The clients by path, and what does not follow from what they have now.
#[derive(Clone, Debug, Default)]
pub(super) struct Plain {
    pub(super) clients: BTreeMap<String, Client>,
    pub(super) weights: BTreeMap<String, f64>,
    /// How often something was allocated to each node; a virtual leaf ends in `/.`.
    counts: BTreeMap<String, u64>,
    marked: BTreeSet<String>,
}

impl Plain {
    /// Whether the path is of a client or lies above one.
    fn is_node(&self, path: &str) -> bool {
        self.clients.contains_key(path) || self.is_inner(path)
    }

    /// Whether it lies above another client.
    fn is_inner(&self, path: &str) -> bool {
        self.clients.keys().any(|client| is_below(client, path))
    }

    /// The node that stands for a client.
    pub(super) fn leaf(&self, path: &str) -> String {
        if self.is_inner(path) { format!("{path}/.") } else { path.to_owned() }
    }

    /// A node and those above it.
    fn chain(&self, path: &str) -> Vec<String> {
        let mut chain: Vec<String> = above(path).map(str::to_owned).collect();
        if self.leaf(path) != path {
            chain.push(self.leaf(path));
        }
        chain
    }

    pub(super) fn add(&mut self, path: &str) {
        for parent in above(path).filter(|parent| *parent != path) {
            // A client that gets another below it takes its count along.
            if self.clients.contains_key(parent) && !self.is_inner(parent) {
                let count = self.count(parent);
                self.counts.insert(format!("{parent}/."), count);
            }
        }
        self.clients.insert(path.to_owned(), Client::default());
    }

    pub(super) fn remove(&mut self, path: &str) {
        let chain = self.chain(path);
        self.clients.remove(path);
        for node in chain {
            let (is_gone, is_leaf_again) = match node.strip_suffix("/.") {
                Some(_) => (true, false),
                None => (!self.is_node(&node), !self.is_inner(&node)),
            };
            if is_gone {
                self.counts.remove(&node);
                self.marked.remove(&node);
            }
            if is_leaf_again {
                self.counts.remove(&format!("{node}/."));
            }
        }
    }

    pub(super) fn credit(&mut self, path: &str, amounts: &Amounts) {
        for node in self.chain(path) {
            *self.counts.entry(node).or_default() += 1;
        }
        if let Some(client) = self.clients.get_mut(path) {
            client.held.add(amounts);
        }
    }

    pub(super) fn set_marked(&mut self, path: &str, marked: bool) {
        let Some(top) = path.split('/').next() else { return };
        if marked {
            self.marked.insert(top.to_owned());
        } else {
            self.marked.remove(top);
        }
    }

    pub(super) fn count(&self, node: &str) -> u64 {
        self.counts.get(node).copied().unwrap_or_default()
    }

    pub(super) fn weight(&self, node: &str) -> f64 {
        self.weights.get(node).copied().unwrap_or(1.0)
    }

    /// What the clients at or below a node have.
    fn held(&self, node: &str) -> Amounts {
        let mut held = Amounts::default();
        for (path, client) in &self.clients {
            let is_in = match node.strip_suffix("/.") {
                Some(own) => path == own,
                None => path == node || is_below(path, node),
            };
            if is_in {
                held.add(&client.held);
            }
        }
        held
    }

    pub(super) fn share(&self, node: &str, pool: &Pool) -> f64 {
        pool.dominant_share(&self.held(node)) / self.weight(node)
    }

    fn compare(&self, one: &str, other: &str, pool: &Pool) -> Ordering {
        self.share(one, pool)
            .total_cmp(&self.share(other, pool))
            .then_with(|| self.count(one).cmp(&self.count(other)))
            .then_with(|| one.cmp(other))
    }

    /// All clients in order, whether they want something or not.
    pub(super) fn in_order(&self, pool: &Pool) -> Vec<String> {
        let mut order = Vec::new();
        self.visit("", pool, &mut order);
        order
    }

    fn visit(&self, parent: &str, pool: &Pool, order: &mut Vec<String>) {
        for node in self.children(parent, pool) {
            if self.is_inner(&node) {
                self.visit(&node, pool, order);
            } else {
                order.push(node.strip_suffix("/.").unwrap_or(&node).to_owned());
            }
        }
    }

    fn children(&self, parent: &str, pool: &Pool) -> Vec<String> {
        let mut children: BTreeSet<String> = BTreeSet::new();
        for path in self.clients.keys() {
            if path == parent {
                children.insert(format!("{path}/."));
            } else if parent.is_empty() || is_below(path, parent) {
                let depth = if parent.is_empty() { 0 } else { parent.split('/').count() };
                let parts: Vec<&str> = path.split('/').take(depth + 1).collect();
                children.insert(parts.join("/"));
            }
        }
        let mut children: Vec<String> = children.into_iter().collect();
        children.sort_by(|one, other| self.compare(one, other, pool));
        children
    }

    /// The clients of marked paths without slashes, in order.
    pub(super) fn marked(&self, pool: &Pool) -> Vec<String> {
        let tops = self.children("", pool).into_iter();
        tops.filter(|top| self.marked.contains(top) && self.clients.contains_key(top)).collect()
    }
}

fn is_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
}

/// A path and those above it, topmost first.
fn above(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    ends.map(|end| &path[..end])
}
