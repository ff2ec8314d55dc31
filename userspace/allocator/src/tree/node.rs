//! Nodes of the tree.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::NodeId;
use crate::amounts::Amounts;
use crate::ids::ClientId;

/// A node: a leaf with a client, or an inner node with others below it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The last part of its path.
    pub(super) name: SmolStr,
    /// Orders siblings as their names do.
    pub(super) label: u64,
    pub(super) parent: NodeId,
    pub(super) client: Option<ClientId>,
    pub(super) children: Option<Box<Children>>,
    /// How many clients that want something are in it.
    pub(super) active: u32,
    /// How many of them could be given something.
    pub(super) open: u32,
    /// Of a leaf: whether its client is not counted as open.
    pub(super) closed: bool,
    /// Of a child of the root: whether it is in the second order.
    pub(super) marked: bool,
    pub(super) held: Amounts,
    pub(super) count: u64,
    pub(super) weight: f64,
    /// Of the pool at the version for which the tree's order holds.
    pub(super) share: f64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Children {
    pub(super) by_name: BTreeMap<SmolStr, NodeId>,
    /// Those with open clients, while the tree is up to date.
    pub(super) order: BTreeSet<Key>,
}

/// The place of a node among its siblings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The bits of a share; it is not negative, so that they are ordered as it is.
    share: u64,
    count: u64,
    label: u64,
    pub(super) node: NodeId,
}

impl Node {
    pub(super) fn leaf(name: SmolStr, parent: NodeId, client: ClientId) -> Self {
        Self { client: Some(client), ..Self::inner(name, parent) }.without_children()
    }

    pub(super) fn inner(name: SmolStr, parent: NodeId) -> Self {
        Self {
            name,
            label: 0,
            parent,
            client: None,
            children: Some(Box::default()),
            active: 0,
            open: 0,
            closed: false,
            marked: false,
            held: Amounts::default(),
            count: 0,
            weight: 1.0,
            share: 0.0,
        }
    }

    fn without_children(mut self) -> Self {
        self.children = None;
        self
    }

    /// Whether it is the leaf of a client that has others below it.
    pub(super) fn is_virtual(&self) -> bool {
        self.client.is_some() && self.name == "."
    }

    pub(super) fn child(&self, name: &str) -> Option<NodeId> {
        self.children.as_ref()?.by_name.get(name).copied()
    }

    pub(super) fn is_childless(&self) -> bool {
        self.children.as_ref().is_none_or(|children| children.by_name.is_empty())
    }

    /// The leaf of its own client, if nothing else is below it.
    pub(super) fn only_virtual_leaf(&self) -> Option<NodeId> {
        let children = self.children.as_ref()?;
        (children.by_name.len() == 1).then(|| children.by_name.get(".").copied()).flatten()
    }

    pub(super) fn key(&self, id: NodeId, share: f64) -> Key {
        Key { share: share.to_bits(), count: self.count, label: self.label, node: id }
    }
}
