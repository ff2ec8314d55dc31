//! The order by chance.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::{ROOT, Tree, number};
use crate::Draw;
use crate::ids::ClientId;

/// Chances of all active clients, computed when they change.
#[derive(Clone, Debug)]
pub(crate) struct Lottery {
    /// Whether clients that want nothing have chances too, which are lost.
    all: bool,
    shape: Option<u64>,
    /// By path.
    tickets: Vec<Ticket>,
    by_client: Vec<Option<u32>>,
}

#[derive(Clone, Copy, Debug)]
struct Ticket {
    client: ClientId,
    /// Decides between equals.
    rank: u32,
    /// Stands for the path in draws.
    subject: u64,
    /// The part of all weight that the client has.
    chance: f64,
}

impl Lottery {
    pub(crate) fn new(all: bool) -> Self {
        Self { all, shape: None, tickets: Vec::new(), by_client: Vec::new() }
    }

    /// Computes the chances anew if they have changed.
    pub(crate) fn refresh(&mut self, tree: &Tree) {
        if self.shape != Some(tree.shape) {
            self.shape = Some(tree.shape);
            self.tickets = tree.tickets(self.all);
            self.by_client.clear();
            self.by_client.resize(tree.leaves.len(), None);
            for ticket in &self.tickets {
                self.by_client[ticket.client.index()] = Some(ticket.rank);
            }
        }
    }

    /// All open clients: the first is one of them with a probability in proportion to its
    /// weight among its siblings, times its parent's, and so on with those that are left.
    /// The lottery has to be fresh.
    ///
    /// This is the weighted shuffle of Efraimidis and Spirakis (2006): clients are ordered by
    /// u^(1/w), largest first, with u between 0 and 1; ln(u)/w gives the same order. Who else
    /// takes part changes nothing in the order of two.
    pub(crate) fn draw(&self, tree: &Tree, draw: Draw) -> Drawn {
        let open = |ticket: &&Ticket| tree.node(tree.leaf(ticket.client)).open > 0;
        self.tickets.iter().filter(open).map(|ticket| ticket.place(draw)).collect()
    }

    /// The same for some clients, each once; those that are not active are left out.
    pub(crate) fn draw_some(&self, clients: impl Iterator<Item = ClientId>, draw: Draw) -> Drawn {
        let ticket = |client: ClientId| {
            let index = (*self.by_client.get(client.index())?)?;
            self.tickets.get(index as usize)
        };
        clients.filter_map(ticket).map(|ticket| ticket.place(draw)).collect()
    }
}

/// Clients in an order by chance, which is found out as far as it is asked for.
pub(crate) type Drawn = BinaryHeap<Lot>;

/// A client's luck.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lot {
    place: f64,
    rank: u32,
    pub(crate) client: ClientId,
}

impl Ticket {
    fn place(&self, draw: Draw) -> Lot {
        let place = draw.of(self.subject).fraction().ln() / self.chance;
        Lot { place, rank: self.rank, client: self.client }
    }
}

impl Ord for Lot {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.total_cmp(&other.place).then_with(|| other.rank.cmp(&self.rank))
    }
}

impl PartialOrd for Lot {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Lot {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Lot {}

impl Tree {
    /// One ticket for each active client, by path.
    fn tickets(&self, all: bool) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        let mut stack = vec![(ROOT, String::new(), 1.0)];
        while let Some((id, path, chance)) = stack.pop() {
            let Some(children) = &self.node(id).children else { continue };
            let active = || {
                let nodes = children.by_name.values().map(|id| (*id, self.node(*id)));
                nodes.filter(|(_, node)| all || node.active > 0)
            };
            let sum: f64 = active().map(|(_, node)| node.weight).sum();
            for (child, node) in active() {
                let chance = chance * node.weight / sum;
                let path = match path.as_str() {
                    "" => node.name.to_string(),
                    _ if node.is_virtual() => path.clone(),
                    above => format!("{above}/{}", node.name),
                };
                match node.client {
                    Some(client) if node.active > 0 => tickets.push((path, client, chance)),
                    Some(_) => {}
                    None => stack.push((child, path, chance)),
                }
            }
        }
        tickets.sort_by(|a, b| a.0.cmp(&b.0));
        let ticket = |(index, (path, client, chance)): (usize, (String, ClientId, f64))| Ticket {
            client,
            rank: number(index),
            subject: crate::draw::hash(&path),
            chance,
        };
        tickets.into_iter().enumerate().map(ticket).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights 1 to 5: how likely each is to come at each place. From Mesos' tests, as the
    /// table of the other test.
    const FLAT: [[f64; 5]; 5] = [
        [0.07, 0.08, 0.12, 0.20, 0.54],
        [0.13, 0.16, 0.20, 0.28, 0.23],
        [0.20, 0.22, 0.24, 0.22, 0.12],
        [0.27, 0.26, 0.23, 0.17, 0.07],
        [0.33, 0.28, 0.21, 0.13, 0.04],
    ];

    /// Draws so many times, and compares how often each client comes at each place.
    fn check<const N: usize>(
        expected: [[f64; N]; N],
        clients: [ClientId; N],
        runs: u32,
        draw: impl Fn(Draw) -> Drawn,
    ) {
        let mut counts = [[0_u32; N]; N];
        for run in 0..runs {
            let mut drawn = draw(Draw::new(0).of(u64::from(run)));
            assert_eq!(drawn.len(), N);
            for (place, lot) in std::iter::from_fn(|| drawn.pop()).enumerate() {
                let client = lot.client;
                let which = clients.iter().position(|other| *other == client).unwrap();
                counts[which][place] += 1;
            }
        }
        for (which, (expected, counts)) in expected.iter().zip(counts).enumerate() {
            for (place, (expected, count)) in expected.iter().zip(counts).enumerate() {
                let actual = f64::from(count) / f64::from(runs);
                assert!((expected - actual).abs() < 0.05, "{which} at {place}: {actual}");
            }
        }
    }

    /// A tree of active clients with weights of paths.
    fn tree<const N: usize>(clients: [&str; N], weights: &[(&str, f64)]) -> (Tree, [ClientId; N]) {
        let mut tree = Tree::new(0);
        let clients = clients.map(|path| {
            let client = tree.add(path);
            tree.set_active(client, true);
            client
        });
        for (path, weight) in weights {
            tree.set_weight(path, *weight);
        }
        (tree, clients)
    }

    #[test]
    fn weighted_shuffle_probability_distribution() {
        let clients = [0, 1, 2, 3, 4].map(ClientId::from);
        let weights = [1.0, 2.0, 3.0, 4.0, 5.0];
        let tickets: Vec<Ticket> = clients
            .into_iter()
            .zip(weights)
            .zip(0..)
            .map(|((client, chance), rank)| Ticket { client, rank, subject: rank.into(), chance })
            .collect();
        let by_client = tickets.iter().map(|ticket| Some(ticket.rank)).collect();
        let lottery = Lottery { tickets, by_client, ..Lottery::new(false) };
        check(FLAT, clients, 1000, |draw| lottery.draw_some(clients.into_iter(), draw));
    }

    #[test]
    fn random_sorter_probability_distribution() {
        let weights = [("0", 1.0), ("1", 2.0), ("2", 3.0), ("3", 4.0), ("4", 5.0)];
        let (tree, clients) = tree(weights.map(|(path, _)| path), &weights);
        let mut lottery = Lottery::new(false);
        lottery.refresh(&tree);
        check(FLAT, clients, 1000, |draw| lottery.draw(&tree, draw));
    }

    #[test]
    fn random_sorter_hierarchical_probability_distribution() {
        let weights = [("a", 1.0), ("a/b", 2.0), ("c", 2.0), ("c/d", 1.0), ("c/e", 2.0)];
        let (tree, clients) = tree(["a", "a/b", "c/d", "c/e"], &weights);
        let mut lottery = Lottery::new(false);
        lottery.refresh(&tree);
        let expected = [
            [0.11, 0.15, 0.23, 0.51],
            [0.22, 0.27, 0.30, 0.21],
            [0.22, 0.27, 0.30, 0.21],
            [0.44, 0.31, 0.18, 0.07],
        ];
        check(expected, clients, 10_000, |draw| lottery.draw(&tree, draw));
    }
}
