//! Clients in a tree, in the order in which they are to be served.
//!
//! A client is a path. If there are clients `a` and `a/b`, then `a` is an inner node, and
//! the client `a` is a leaf below it with the name `.`, which competes with `b`.
//!
//! What each node has is the sum over its leaves. Siblings are ordered by dominant share,
//! which is what they have of any one resource at most, divided by their weight; then by
//! how often something was allocated to them; then by name. While amounts change, the order
//! is kept up in time logarithmic in the number of siblings. It is put up anew when the pool
//! changes, which changes all shares, and when clients come and go.

mod lottery;
mod node;
mod order;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

pub(crate) use self::lottery::{Drawn, Lottery};
use self::node::{Key, Node};
pub(crate) use self::walk::Order;
use crate::amounts::Amounts;
use crate::ids::ClientId;
use crate::map::{Map, seeded};
use crate::pool::Pool;

/// A node, as long as it is not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

/// The tree.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    free_nodes: Vec<NodeId>,
    /// The leaf of each client.
    leaves: Vec<NodeId>,
    free_clients: Vec<ClientId>,
    by_path: Map<SmolStr, ClientId>,
    weights: BTreeMap<SmolStr, f64>,
    /// Version of the pool for which the order holds, if it holds at all.
    version: Option<u64>,
    /// A second order, of some children of the root.
    marked: BTreeSet<Key>,
    /// Changes whenever the chances of a lottery do.
    shape: u64,
}

const ROOT: NodeId = NodeId(0);

/// Where a node is, seen from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The client alone.
    Own,
    /// The client's path with all below it (0), or so many steps above that.
    Above(usize),
}

impl Tree {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            nodes: vec![Node::inner(SmolStr::default(), ROOT)],
            free_nodes: Vec::new(),
            leaves: Vec::new(),
            free_clients: Vec::new(),
            by_path: seeded(seed),
            weights: BTreeMap::new(),
            version: None,
            marked: BTreeSet::new(),
            shape: 0,
        }
    }

    pub(crate) fn find(&self, path: &str) -> Option<ClientId> {
        self.by_path.get(path).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_path.len()
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    fn leaf(&self, client: ClientId) -> NodeId {
        self.leaves[client.index()]
    }

    /// The nodes from here to the root, that one not included.
    fn up(&self, from: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let above = |id: &NodeId| Some(self.node(*id).parent);
        std::iter::successors(Some(from), above).take_while(|id| *id != ROOT)
    }

    /// Adds a client that is not there yet. It wants nothing at first.
    pub(crate) fn add(&mut self, path: &str) -> ClientId {
        let client = self.free_clients.pop().unwrap_or_else(|| {
            self.leaves.push(ROOT);
            ClientId::from(self.leaves.len() - 1)
        });
        self.by_path.insert(path.into(), client);
        let mut current = ROOT;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            self.split_leaf(current);
            current = match self.node(current).child(part) {
                Some(child) => child,
                None => self.insert(current, part, parts.peek().is_none().then_some(client)),
            };
        }
        if self.node(current).client != Some(client) {
            // It was above others already.
            current = self.insert(current, ".", Some(client));
        }
        self.leaves[client.index()] = current;
        client
    }

    /// Removes a client, with all that it has.
    pub(crate) fn remove(&mut self, path: &str) {
        let Some(client) = self.by_path.remove(path) else { return };
        self.set_active(client, false);
        let leaf = self.leaf(client);
        let held = self.node(leaf).held.clone();
        let mut current = leaf;
        while current != ROOT {
            let parent = self.node(current).parent;
            self.node_mut(parent).held.subtract(&held);
            if current == leaf || self.node(current).is_childless() {
                self.take_out(parent, current);
            } else if let Some(only) = self.node(current).only_virtual_leaf() {
                self.join_leaf(current, only);
            }
            current = parent;
        }
        self.free_clients.push(client);
    }

    /// Turns a leaf into an inner node with that leaf in it.
    fn split_leaf(&mut self, id: NodeId) {
        let node = self.node_mut(id);
        let Some(client) = node.client.take() else { return };
        node.children = Some(Box::default());
        let leaf = self.insert(id, ".", Some(client));
        let (held, count) = (self.node(id).held.clone(), self.node(id).count);
        let (active, open, closed) = {
            let node = self.node_mut(id);
            (node.active, node.open, std::mem::take(&mut node.closed))
        };
        let node = self.node_mut(leaf);
        (node.held, node.count) = (held, count);
        (node.active, node.open, node.closed) = (active, open, closed);
        self.leaves[client.index()] = leaf;
    }

    /// Turns an inner node that has only the leaf of its own client back into that leaf.
    fn join_leaf(&mut self, id: NodeId, virtual_leaf: NodeId) {
        let (client, closed) = (self.node(virtual_leaf).client, self.node(virtual_leaf).closed);
        self.take_out(id, virtual_leaf);
        let node = self.node_mut(id);
        (node.client, node.closed, node.children) = (client, closed, None);
        if let Some(client) = client {
            self.leaves[client.index()] = id;
        }
    }

    fn insert(&mut self, parent: NodeId, name: &str, client: Option<ClientId>) -> NodeId {
        let mut node = match client {
            Some(client) => Node::leaf(name.into(), parent, client),
            None => Node::inner(name.into(), parent),
        };
        if !node.is_virtual() && !self.weights.is_empty() {
            node.weight = self.weight(&self.path_of(parent, name));
        }
        let id = if let Some(id) = self.free_nodes.pop() {
            *self.node_mut(id) = node;
            id
        } else {
            self.nodes.push(node);
            NodeId(number(self.nodes.len() - 1))
        };
        if let Some(children) = &mut self.node_mut(parent).children {
            children.by_name.insert(name.into(), id);
        }
        self.label(parent, id);
        self.reshape();
        id
    }

    fn take_out(&mut self, parent: NodeId, child: NodeId) {
        let name = self.node(child).name.clone();
        if let Some(children) = &mut self.node_mut(parent).children {
            children.by_name.remove(&name);
        }
        self.free_nodes.push(child);
        self.reshape();
    }

    fn reshape(&mut self) {
        self.version = None;
        self.shape += 1;
    }

    fn path_of(&self, parent: NodeId, name: &str) -> String {
        let mut parts: Vec<&str> = self.up(parent).map(|id| self.node(id).name.as_str()).collect();
        parts.reverse();
        parts.push(name);
        parts.join("/")
    }

    /// Sets a weight, also of a path that has no clients yet.
    pub(crate) fn set_weight(&mut self, path: &str, weight: f64) {
        self.weights.insert(path.into(), weight);
        let mut current = Some(ROOT);
        for part in path.split('/') {
            current = current.and_then(|id| self.node(id).child(part));
        }
        if let Some(id) = current {
            self.node_mut(id).weight = weight;
            self.reshape();
        }
    }

    pub(crate) fn weight(&self, path: &str) -> f64 {
        self.weights.get(path).copied().unwrap_or(1.0)
    }

    pub(crate) fn is_active(&self, client: ClientId) -> bool {
        self.node(self.leaf(client)).active > 0
    }

    /// Whether any client wants anything.
    pub(crate) fn any_active(&self) -> bool {
        self.node(ROOT).active > 0
    }

    /// Whether a client wants something and could be given it.
    pub(crate) fn is_open(&self, client: ClientId) -> bool {
        self.node(self.leaf(client)).open > 0
    }

    pub(crate) fn is_closed(&self, client: ClientId) -> bool {
        self.node(self.leaf(client)).closed
    }

    /// Says whether a client wants anything.
    pub(crate) fn set_active(&mut self, client: ClientId, active: bool) {
        let leaf = self.leaf(client);
        if self.is_active(client) == active {
            return;
        }
        self.shape += 1;
        let path: Vec<NodeId> = self.up(leaf).chain([ROOT]).collect();
        for id in path {
            let node = self.node_mut(id);
            node.active = if active { node.active + 1 } else { node.active - 1 };
        }
        if !self.node(leaf).closed {
            self.count_open(leaf, active);
        }
    }

    /// Says whether a client could not be given anything: it is passed over then.
    pub(crate) fn set_closed(&mut self, client: ClientId, closed: bool) {
        let leaf = self.leaf(client);
        if self.node(leaf).closed != closed {
            self.node_mut(leaf).closed = closed;
            if self.node(leaf).active > 0 {
                self.count_open(leaf, !closed);
            }
        }
    }

    fn count_open(&mut self, leaf: NodeId, open: bool) {
        let path: Vec<NodeId> = self.up(leaf).collect();
        for id in path {
            let node = self.node_mut(id);
            let before = node.open;
            node.open = if open { before + 1 } else { before - 1 };
            if (before == 0) != (node.open == 0) {
                self.list(id, open);
            }
        }
    }

    /// Notes that something was allocated to a client: so much on each level. It differs
    /// where clients have something in common, which counts once where they meet.
    pub(crate) fn credit<'a>(
        &mut self,
        client: ClientId,
        pool: &Pool,
        at: impl Fn(Level) -> &'a Amounts,
    ) {
        self.change(client, pool, |node, level| {
            node.held.add(at(level));
            node.count += 1;
        });
    }

    /// Notes that a client has so much less on each level.
    pub(crate) fn debit<'a>(
        &mut self,
        client: ClientId,
        pool: &Pool,
        at: impl Fn(Level) -> &'a Amounts,
    ) {
        self.change(client, pool, |node, level| node.held.subtract(at(level)));
    }

    /// Notes that a client has something else, which is no new allocation.
    pub(crate) fn exchange(&mut self, client: ClientId, pool: &Pool, old: &Amounts, new: &Amounts) {
        if old != new {
            self.change(client, pool, |node, _| {
                node.held.add(new);
                node.held.subtract(old);
            });
        }
    }

    fn change(&mut self, client: ClientId, pool: &Pool, change: impl Fn(&mut Node, Level)) {
        let fresh = self.version == Some(pool.version());
        let mut current = self.leaf(client);
        let mut level = Level::Own;
        while current != ROOT {
            let node = self.node(current);
            let (parent, is_virtual) = (node.parent, node.is_virtual());
            if fresh {
                let old = node.key(current, node.share);
                let node = self.node_mut(current);
                change(node, level);
                node.share = pool.dominant_share(&node.held) / node.weight;
                self.relist(parent, current, old);
            } else {
                change(self.node_mut(current), level);
            }
            level = match level {
                Level::Own if is_virtual => Level::Above(0),
                Level::Own => Level::Above(1),
                Level::Above(steps) => Level::Above(steps + 1),
            };
            current = parent;
        }
        change(self.node_mut(ROOT), level);
    }

    /// What all clients have together.
    pub(crate) fn held_by_all(&self) -> &Amounts {
        &self.node(ROOT).held
    }

    /// What a client has.
    pub(crate) fn held(&self, client: ClientId) -> &Amounts {
        &self.node(self.leaf(client)).held
    }

    /// How often something was allocated to a client.
    pub(crate) fn count(&self, client: ClientId) -> u64 {
        self.node(self.leaf(client)).count
    }

    /// Share of a client, as it counts against its siblings.
    pub(crate) fn share(&self, client: ClientId, pool: &Pool) -> f64 {
        let node = self.node(self.leaf(client));
        pool.dominant_share(&node.held) / node.weight
    }
}

fn number(index: usize) -> u32 {
    // Memory ends long before.
    u32::try_from(index).unwrap_or(u32::MAX)
}
