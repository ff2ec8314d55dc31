//! Clients in order, without anything to hand out.

use muster_resources::{Quantities, Resources};

use crate::names::Names;
use crate::pool::Pool;
use crate::tally::Tally;
use crate::tree::Tree;

/// Clients with what they have of a pool, in the order in which they are to be served: the
/// part of the allocator that puts roles, and the frameworks of a role, in order by dominant
/// share. A client is a path; those of one path component compete with each other.
///
/// Calls about clients that are not there change nothing.
///
/// ```
/// use muster_allocator::Sorter;
/// use muster_resources::{Quantities, Resources};
///
/// let mut sorter = Sorter::new(1);
/// sorter.add_total(&Quantities::parse("cpus:9;mem:18")?);
/// for client in ["a", "b"] {
///     sorter.add(client);
///     sorter.set_active(client, true);
/// }
/// sorter.allocated("a", &Resources::parse("cpus:1;mem:4")?);
/// assert_eq!(sorter.sort().collect::<Vec<_>>(), ["b", "a"]);
/// # Ok::<(), muster_resources::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sorter {
    tree: Tree,
    pool: Pool,
    names: Names,
    /// By client of the tree.
    paths: Vec<String>,
}

impl Sorter {
    /// Without clients; the seed says only where they lie in memory.
    pub fn new(seed: u64) -> Self {
        Self {
            tree: Tree::new(seed),
            pool: Pool::new(Vec::new()),
            names: Names::default(),
            paths: Vec::new(),
        }
    }

    /// Adds a client, which wants nothing at first.
    pub fn add(&mut self, path: &str) {
        if self.tree.find(path).is_none() {
            let client = self.tree.add(path);
            if self.paths.len() <= client.index() {
                self.paths.resize(client.index() + 1, String::new());
            }
            path.clone_into(&mut self.paths[client.index()]);
        }
    }

    /// Removes a client with all that it has.
    pub fn remove(&mut self, path: &str) {
        self.tree.remove(path);
    }

    /// Says whether a client wants anything; if not, it is left out of the order, but what it
    /// has counts for those above it.
    pub fn set_active(&mut self, path: &str, active: bool) {
        if let Some(client) = self.tree.find(path) {
            self.tree.set_active(client, active);
        }
    }

    /// Sets a weight, also of a path that is no client.
    pub fn set_weight(&mut self, path: &str, weight: f64) {
        self.tree.set_weight(path, weight);
    }

    /// Adds to what there is to have.
    pub fn add_total(&mut self, amounts: &Quantities) {
        self.pool.add(&self.names.amounts(amounts));
    }

    /// Takes away from what there is to have.
    pub fn remove_total(&mut self, amounts: &Quantities) {
        self.pool.subtract(&self.names.amounts(amounts));
    }

    /// Notes that a client was given something; nothing of it is taken as shared.
    pub fn allocated(&mut self, path: &str, resources: &Resources) {
        if let Some(client) = self.tree.find(path) {
            let tally = Tally::of(resources, &mut self.names);
            self.tree.credit(client, &self.pool, |_| &tally.scalars);
        }
    }

    /// Notes that a client has something no more.
    pub fn unallocated(&mut self, path: &str, resources: &Resources) {
        if let Some(client) = self.tree.find(path) {
            let tally = Tally::of(resources, &mut self.names);
            self.tree.debit(client, &self.pool, |_| &tally.scalars);
        }
    }

    /// The clients that want something, in order; no more work is done than clients are asked
    /// for, once what has changed since the last time is taken in.
    pub fn sort(&mut self) -> impl Iterator<Item = &str> {
        self.tree.refresh(&self.pool);
        self.tree.walk().map(|client| self.paths[client.index()].as_str())
    }
}
