//! Clients in the order in which they are to be served.

use std::cmp::Ordering;
use std::collections::btree_set;

use smallvec::SmallVec;

use super::node::Key;
use super::{Drawn, ROOT, Tree};
use crate::ids::ClientId;
use crate::pool::Pool;

/// Open clients in order; looks no further than it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'a> {
    tree: &'a Tree,
    stack: SmallVec<[btree_set::Iter<'a, Key>; 1]>,
}

impl Iterator for Walk<'_> {
    type Item = ClientId;

    fn next(&mut self) -> Option<ClientId> {
        loop {
            let Some(key) = self.stack.last_mut()?.next() else {
                self.stack.pop();
                continue;
            };
            let node = self.tree.node(key.node);
            match (&node.client, &node.children) {
                (Some(client), _) => return Some(*client),
                (None, Some(children)) => self.stack.push(children.order.iter()),
                (None, None) => {}
            }
        }
    }
}

/// Clients in some order.
pub(crate) enum Order<'a> {
    /// All open ones.
    Walk(Walk<'a>),
    /// All open ones and some others.
    Merged(Box<Merged<'a>>),
    /// Those in the second order.
    Marked(&'a Tree, btree_set::Iter<'a, Key>),
    /// Just these.
    List(std::vec::IntoIter<ClientId>),
    /// By chance.
    Drawn(Drawn),
}

impl Iterator for Order<'_> {
    type Item = ClientId;

    fn next(&mut self) -> Option<ClientId> {
        match self {
            Self::Walk(walk) => walk.next(),
            Self::Merged(merged) => merged.next(),
            Self::List(list) => list.next(),
            Self::Drawn(drawn) => drawn.pop().map(|lot| lot.client),
            Self::Marked(tree, keys) => keys.find_map(|key| {
                let node = tree.node(key.node);
                node.client.or_else(|| tree.node(node.child(".")?).client)
            }),
        }
    }
}

/// Where a client comes: the places of its node and of those above it, topmost first.
pub(crate) type Place = SmallVec<[Key; 2]>;

impl Tree {
    /// The open clients in order. The tree has to be fresh.
    pub(crate) fn walk(&self) -> Walk<'_> {
        let children = self.node(ROOT).children.as_ref();
        Walk { tree: self, stack: children.iter().map(|children| children.order.iter()).collect() }
    }

    /// The clients of marked nodes, in order: those without a slash in their path. The tree
    /// has to be fresh.
    pub(crate) fn walk_marked(&self) -> Order<'_> {
        Order::Marked(self, self.marked.iter())
    }

    /// Where a client comes, whether it is open or not. The tree has to be fresh.
    pub(crate) fn place(&self, client: ClientId) -> Place {
        let mut place: Place = self
            .up(self.leaf(client))
            .map(|id| self.node(id).key(id, self.node(id).share))
            .collect();
        place.reverse();
        place
    }

    /// Active clients at or below a path, in no particular order.
    pub(crate) fn active_below(&self, path: &str) -> Vec<ClientId> {
        let mut top = Some(ROOT);
        for part in path.split('/') {
            top = top.and_then(|id| self.node(id).child(part));
        }
        let mut found = Vec::new();
        let mut stack: Vec<_> = top.into_iter().collect();
        while let Some(id) = stack.pop() {
            let node = self.node(id);
            if node.active == 0 {
                continue;
            }
            found.extend(node.client);
            stack.extend(node.children.iter().flat_map(|children| children.by_name.values()));
        }
        found
    }

    /// All clients, those that want something first and in order, then the others by path.
    pub(crate) fn all_in_order(&mut self, pool: &Pool) -> Vec<ClientId> {
        self.refresh(pool);
        let mut clients: Vec<(&str, ClientId)> =
            self.by_path.iter().map(|(path, client)| (path.as_str(), *client)).collect();
        clients.sort_unstable();
        let (mut active, others): (Vec<_>, Vec<_>) = clients
            .into_iter()
            .map(|(_, client)| client)
            .partition(|client| self.is_active(*client));
        active.sort_by_cached_key(|client| self.place(*client));
        active.extend(others);
        active
    }
}

/// Clients from two orders, in the order of both.
pub(crate) struct Merged<'a> {
    tree: &'a Tree,
    walk: std::iter::Peekable<Walk<'a>>,
    /// Sorted by place.
    extra: std::iter::Peekable<std::vec::IntoIter<(Place, ClientId)>>,
}

impl Iterator for Merged<'_> {
    type Item = ClientId;

    fn next(&mut self) -> Option<ClientId> {
        let Some((place, _)) = self.extra.peek() else { return self.walk.next() };
        let first = match self.walk.peek() {
            Some(open) => self.tree.place(*open).cmp(place),
            None => Ordering::Greater,
        };
        match first {
            Ordering::Less => self.walk.next(),
            // In both: once is enough.
            Ordering::Equal => {
                self.walk.next();
                self.extra.next().map(|(_, client)| client)
            }
            Ordering::Greater => self.extra.next().map(|(_, client)| client),
        }
    }
}

impl Tree {
    /// The open clients and some others, in order. The tree has to be fresh.
    pub(crate) fn walk_with(&self, extra: Vec<ClientId>) -> Order<'_> {
        if extra.is_empty() {
            return Order::Walk(self.walk());
        }
        let extra = self.in_order(extra).into_iter().peekable();
        Order::Merged(Box::new(Merged { tree: self, walk: self.walk().peekable(), extra }))
    }

    /// Clients with their places, in order. The tree has to be fresh.
    fn in_order(&self, clients: Vec<ClientId>) -> Vec<(Place, ClientId)> {
        let mut places: Vec<(Place, ClientId)> =
            clients.into_iter().map(|client| (self.place(client), client)).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Some clients, in order. The tree has to be fresh.
    pub(crate) fn sorted(&self, clients: Vec<ClientId>) -> Vec<ClientId> {
        self.in_order(clients).into_iter().map(|(_, client)| client).collect()
    }
}
