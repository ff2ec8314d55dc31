//! The order that is kept is the one that working it out anew gives.

mod plain;

use std::collections::BTreeMap;

use proptest::prelude::*;

use self::plain::Plain;
use super::{Drawn, Level, Lottery, Tree};
use crate::Draw;
use crate::amounts::Amounts;
use crate::ids::ClientId;
use crate::pool::Pool;

const PATHS: [&str; 12] =
    ["a", "a/b", "a/b/c", "a/b/d", "a/e", "a/e/f", "b", "b/a", "c/a/b", "c/a", "d", "*"];

/// Something that happens to a tree.
#[derive(Clone, Debug)]
enum Change {
    Add(usize),
    Remove(usize),
    Active(usize, bool),
    Closed(usize, bool),
    Marked(usize, bool),
    Credit(usize, [i64; 3]),
    /// Takes a part of what a client has, in quarters.
    Debit(usize, u8),
    Exchange(usize, [i64; 3]),
    Weight(usize, u8),
    Total([i64; 3], bool),
    /// Puts the order up, which it is kept from then on.
    Refresh,
}

fn amounts(of: [i64; 3]) -> Amounts {
    let mut amounts = Amounts::default();
    of.into_iter().enumerate().for_each(|(number, amount)| amounts.set(number, amount));
    amounts
}

fn some() -> impl Strategy<Value = [i64; 3]> {
    // Few different amounts, so that many shares are equal.
    prop::array::uniform3(0..4_i64)
}

fn change() -> impl Strategy<Value = Change> {
    let which = || 0..PATHS.len();
    prop_oneof![
        6 => which().prop_map(Change::Add),
        2 => which().prop_map(Change::Remove),
        4 => (which(), prop::bool::weighted(0.8)).prop_map(|(path, active)| Change::Active(path, active)),
        2 => (which(), any::<bool>()).prop_map(|(path, closed)| Change::Closed(path, closed)),
        2 => (which(), any::<bool>()).prop_map(|(path, marked)| Change::Marked(path, marked)),
        8 => (which(), some()).prop_map(|(path, amounts)| Change::Credit(path, amounts)),
        4 => (which(), 1..5_u8).prop_map(|(path, part)| Change::Debit(path, part)),
        1 => (which(), some()).prop_map(|(path, amounts)| Change::Exchange(path, amounts)),
        1 => (which(), 1..5_u8).prop_map(|(path, weight)| Change::Weight(path, weight)),
        1 => (some(), any::<bool>()).prop_map(|(amounts, more)| Change::Total(amounts, more)),
        4 => Just(Change::Refresh),
    ]
}

/// A tree, and the plain one that the same happens to.
struct Pair {
    tree: Tree,
    plain: Plain,
    pool: Pool,
    total: [i64; 3],
    lotteries: [Lottery; 2],
}

impl Pair {
    fn new() -> Self {
        let total = [12, 12, 12];
        // The third name does not count.
        let mut pool = Pool::new(vec![2]);
        pool.add(&amounts(total));
        let lotteries = [Lottery::new(false), Lottery::new(true)];
        Self { tree: Tree::new(0), plain: Plain::default(), pool, total, lotteries }
    }

    fn apply(&mut self, change: &Change) {
        let Self { tree, plain, pool, .. } = self;
        let (Change::Add(index)
        | Change::Remove(index)
        | Change::Active(index, _)
        | Change::Closed(index, _)
        | Change::Marked(index, _)
        | Change::Credit(index, _)
        | Change::Debit(index, _)
        | Change::Exchange(index, _)
        | Change::Weight(index, _)) = change
        else {
            match change {
                Change::Total(by, more) => self.change_total(*by, *more),
                _ => tree.refresh(pool),
            }
            return;
        };
        let path = PATHS[*index];
        if let Change::Weight(_, weight) = change {
            tree.set_weight(path, f64::from(*weight));
            plain.weights.insert(path.to_owned(), f64::from(*weight));
            return;
        }
        let Some(client) = tree.find(path) else {
            if matches!(change, Change::Add(_)) {
                tree.add(path);
                plain.add(path);
            }
            return;
        };
        let Some(own) = plain.clients.get_mut(path) else { return };
        match change {
            Change::Remove(_) => {
                tree.remove(path);
                plain.remove(path);
            }
            Change::Active(_, active) => {
                tree.set_active(client, *active);
                own.active = *active;
            }
            Change::Closed(_, closed) => {
                tree.set_closed(client, *closed);
                own.closed = *closed;
            }
            Change::Marked(_, marked) => {
                tree.set_marked(client, *marked);
                plain.set_marked(path, *marked);
            }
            Change::Credit(_, more) => {
                let more = amounts(*more);
                tree.credit(client, pool, |_| &more);
                plain.credit(path, &more);
            }
            Change::Debit(_, part) => {
                let mut less = own.held.clone();
                own.held
                    .iter()
                    .for_each(|(name, held)| less.set(name, held * i64::from(*part) / 4));
                own.held.subtract(&less);
                tree.debit(client, pool, |_| &less);
            }
            Change::Exchange(_, new) => {
                let old = std::mem::replace(&mut own.held, amounts(*new));
                tree.exchange(client, pool, &old, &own.held);
            }
            _ => {}
        }
    }

    fn change_total(&mut self, by: [i64; 3], more: bool) {
        let by: Vec<i64> = by
            .iter()
            .zip(self.total)
            .map(|(by, total)| if more { *by } else { (*by).min(total) })
            .collect();
        let by = [by[0], by[1], by[2]];
        if more {
            self.pool.add(&amounts(by));
        } else {
            self.pool.subtract(&amounts(by));
        }
        for (total, by) in self.total.iter_mut().zip(by) {
            *total += if more { by } else { -by };
        }
    }

    fn names(&self, clients: impl IntoIterator<Item = ClientId>) -> Vec<String> {
        let names: BTreeMap<ClientId, &str> =
            self.tree.by_path.iter().map(|(path, client)| (*client, path.as_str())).collect();
        clients.into_iter().map(|client| names[&client].to_owned()).collect()
    }

    /// Compares all that the trees can be asked.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let order = self.plain.in_order(&self.pool);
        let kept = |keep: &dyn Fn(&plain::Client) -> bool| -> Vec<String> {
            order.iter().filter(|path| keep(&self.plain.clients[*path])).cloned().collect()
        };
        let open = kept(&|client| client.active && !client.closed);
        let active = kept(&|client| client.active);
        self.tree.refresh(&self.pool);
        prop_assert_eq!(self.names(self.tree.walk()), open);
        prop_assert_eq!(self.names(self.tree.walk_marked()), self.plain.marked(&self.pool));
        // Any order is asked for, and some twice.
        let mut all: Vec<ClientId> = self.tree.by_path.values().copied().collect();
        all.extend(all.first().copied());
        prop_assert_eq!(self.names(self.tree.sorted(all)), order.clone());
        let closed: Vec<ClientId> =
            self.tree.by_path.values().copied().filter(|id| self.tree.is_active(*id)).collect();
        prop_assert_eq!(self.names(self.tree.walk_with(closed)), active.clone());
        let mut tree = self.tree.clone();
        let inactive = self.plain.clients.iter().filter(|(_, client)| !client.active);
        let then: Vec<String> = inactive.map(|(path, _)| path.clone()).collect();
        let listed = self.names(tree.all_in_order(&self.pool));
        prop_assert_eq!(listed, active.iter().chain(&then).cloned().collect::<Vec<_>>());
        for path in &order {
            let client = self.tree.find(path).unwrap();
            let (leaf, own) = (self.plain.leaf(path), &self.plain.clients[path]);
            let (kept, anew) =
                (self.tree.share(client, &self.pool), self.plain.share(&leaf, &self.pool));
            prop_assert_eq!(kept.to_bits(), anew.to_bits());
            prop_assert_eq!(self.tree.count(client), self.plain.count(&leaf));
            prop_assert_eq!(self.tree.held(client), &own.held);
            prop_assert_eq!(self.tree.is_active(client), own.active);
            prop_assert_eq!(self.tree.is_closed(client), own.closed);
        }
        let mut below = self.names(self.tree.active_below("a"));
        below.sort_unstable();
        let in_a = |path: &&String| path.split('/').next() == Some("a");
        let mut expected: Vec<String> = active.iter().filter(in_a).cloned().collect();
        expected.sort_unstable();
        prop_assert_eq!(below, expected);
        prop_assert_eq!(self.tree.any_active(), !active.is_empty());
        // Chances are kept too.
        for (all, lottery) in [false, true].into_iter().zip(&mut self.lotteries) {
            let draw = Draw::new(order.len() as u64);
            let mut anew = Lottery::new(all);
            for lottery in [&mut *lottery, &mut anew] {
                lottery.refresh(&self.tree);
            }
            let clients = |drawn: Drawn| -> Vec<ClientId> {
                drawn.into_sorted_vec().into_iter().map(|lot| lot.client).collect()
            };
            prop_assert_eq!(
                clients(lottery.draw(&self.tree, draw)),
                clients(anew.draw(&self.tree, draw))
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_kept_order_is_the_one_worked_out_anew(
        changes in prop::collection::vec((change(), prop::bool::weighted(0.3)), 1..150)
    ) {
        let mut pair = Pair::new();
        for (index, (change, check)) in changes.into_iter().enumerate() {
            pair.apply(&change);
            // Not after every change: several of them may be put in order together.
            if check {
                pair.check().map_err(|e| TestCaseError::fail(format!("change {index}: {e}")))?;
            }
        }
        pair.check()?;
    }
}

/// What is shared counts once where those meet who share it, so that it differs by level.
#[test]
fn amounts_are_counted_level_by_level() {
    let mut tree = Tree::new(0);
    let pool = Pool::default();
    let (parent, child) = (tree.add("a"), tree.add("a/b/c"));
    let own = amounts([1, 0, 0]);
    let above = [amounts([0, 1, 0]), amounts([0, 2, 0]), amounts([0, 3, 0]), amounts([0, 4, 0])];
    let at = |level| match level {
        Level::Own => &own,
        Level::Above(steps) => &above[steps],
    };
    // The client's own node is its path with all below it, unless it has others below.
    tree.credit(child, &pool, at);
    assert_eq!((tree.held(child), tree.held(parent)), (&own, &Amounts::default()));
    assert_eq!(tree.held_by_all(), &above[3]);
    tree.credit(parent, &pool, at);
    assert_eq!(tree.held(parent), &own);
    tree.debit(child, &pool, at);
    assert_eq!(tree.held_by_all(), &above[1]);
    tree.debit(parent, &pool, at);
    assert!(tree.held_by_all().is_zero());
}
