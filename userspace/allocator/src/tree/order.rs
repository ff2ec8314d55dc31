//! Keeping siblings in order.

use super::node::Key;
use super::{NodeId, ROOT, Tree};
use crate::ids::ClientId;
use crate::pool::Pool;

/// Distance between labels where there is room.
const STRIDE: u64 = 1 << 32;

impl Tree {
    /// Puts the order up anew if the pool has changed, or the tree.
    pub(crate) fn refresh(&mut self, pool: &Pool) {
        if self.version == Some(pool.version()) {
            return;
        }
        self.version = Some(pool.version());
        self.marked.clear();
        let mut keys = Vec::new();
        let mut inner = vec![ROOT];
        while let Some(parent) = inner.pop() {
            let Some(mut children) = self.node_mut(parent).children.take() else { continue };
            for id in children.by_name.values() {
                let node = self.node_mut(*id);
                node.share = pool.dominant_share(&node.held) / node.weight;
                let key = node.key(*id, node.share);
                if node.open > 0 {
                    keys.push(key);
                }
                if node.children.is_some() {
                    inner.push(*id);
                }
                if node.marked {
                    self.marked.insert(key);
                }
            }
            keys.sort_unstable();
            children.order = keys.drain(..).collect();
            self.node_mut(parent).children = Some(children);
        }
    }

    /// Gives a new child its place among its siblings by name.
    pub(super) fn label(&mut self, parent: NodeId, child: NodeId) {
        let name = self.node(child).name.clone();
        let Some(children) = &self.node(parent).children else { return };
        let before = children.by_name.range(..name.clone()).next_back().map(|(_, id)| *id);
        let after = children.by_name.range(name..).nth(1).map(|(_, id)| *id);
        let low = before.map_or(0, |id| self.node(id).label);
        let label = match after.map(|id| self.node(id).label) {
            None => low.checked_add(STRIDE),
            Some(high) => (high - low > 1).then(|| low + (high - low) / 2),
        };
        if let Some(label) = label {
            self.node_mut(child).label = label;
            return;
        }
        let siblings: Vec<NodeId> = children.by_name.values().copied().collect();
        for (index, id) in siblings.into_iter().enumerate() {
            self.node_mut(id).label = (index as u64 + 1) * STRIDE;
        }
    }

    /// Puts a node among its siblings, or takes it out.
    pub(super) fn list(&mut self, id: NodeId, listed: bool) {
        let node = self.node(id);
        let (parent, key) = (node.parent, node.key(id, node.share));
        if let Some(children) = &mut self.node_mut(parent).children {
            if listed {
                children.order.insert(key);
            } else {
                children.order.remove(&key);
            }
        }
    }

    /// Moves a node to the place that its share now gives it.
    pub(super) fn relist(&mut self, parent: NodeId, id: NodeId, old: Key) {
        let node = self.node(id);
        let new = node.key(id, node.share);
        let (open, marked) = (node.open > 0, node.marked);
        if open && let Some(children) = &mut self.node_mut(parent).children {
            children.order.remove(&old);
            children.order.insert(new);
        }
        if marked {
            self.marked.remove(&old);
            self.marked.insert(new);
        }
    }

    /// Whether the node below the root that a client is in is in the second order.
    pub(crate) fn is_marked(&self, client: ClientId) -> bool {
        self.up(self.leaf(client)).last().is_some_and(|top| self.node(top).marked)
    }

    /// Puts the node below the root that a client is in into the second order, or takes it
    /// out.
    pub(crate) fn set_marked(&mut self, client: ClientId, marked: bool) {
        let Some(top) = self.up(self.leaf(client)).last() else { return };
        if self.node(top).marked == marked {
            return;
        }
        let node = self.node_mut(top);
        node.marked = marked;
        let key = node.key(top, node.share);
        if marked {
            self.marked.insert(key);
        } else {
            self.marked.remove(&key);
        }
    }
}
