//! The order by chance.

use super::{ROOT, Tree};
use crate::Draw;
use crate::ids::ClientId;

/// Chances of all active clients, computed when they change.
#[derive(Clone, Debug)]
pub(crate) struct Lottery {
    /// Whether clients that want nothing have chances too, which are lost.
    all: bool,
    shape: Option<u64>,
    tickets: Vec<Ticket>,
}

#[derive(Clone, Copy, Debug)]
struct Ticket {
    client: ClientId,
    /// Stands for the path in draws.
    subject: u64,
    /// The part of all weight that the client has.
    chance: f64,
}

impl Lottery {
    pub(crate) fn new(all: bool) -> Self {
        Self { all, shape: None, tickets: Vec::new() }
    }

    /// All active clients: the first is one of them with a probability in proportion to its
    /// weight among its siblings, times its parent's, and so on with those that are left.
    pub(crate) fn draw(&mut self, tree: &Tree, draw: Draw) -> Vec<ClientId> {
        if self.shape != Some(tree.shape) {
            self.shape = Some(tree.shape);
            self.tickets = tree.tickets(self.all);
        }
        self.shuffle(draw)
    }

    /// The weighted shuffle of Efraimidis and Spirakis (2006): clients are ordered by u^(1/w),
    /// largest first, with u between 0 and 1; ln(u)/w gives the same order.
    fn shuffle(&self, draw: Draw) -> Vec<ClientId> {
        let mut drawn: Vec<(f64, usize)> = self
            .tickets
            .iter()
            .enumerate()
            .map(|(index, ticket)| (draw.of(ticket.subject).fraction().ln() / ticket.chance, index))
            .collect();
        drawn.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        drawn.into_iter().map(|(_, index)| self.tickets[index].client).collect()
    }
}

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
        let ticket = |(path, client, chance): (String, ClientId, f64)| Ticket {
            client,
            subject: crate::draw::hash(&path),
            chance,
        };
        tickets.into_iter().map(ticket).collect()
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
        mut draw: impl FnMut(Draw) -> Vec<ClientId>,
    ) {
        let mut counts = [[0_u32; N]; N];
        for run in 0..runs {
            let drawn = draw(Draw::new(0).of(u64::from(run)));
            assert_eq!(drawn.len(), N);
            for (place, client) in drawn.iter().enumerate() {
                let which = clients.iter().position(|other| other == client).unwrap();
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
        let mut tree = Tree::new();
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
        let tickets = clients.into_iter().zip(weights).zip(0..);
        let lottery = Lottery {
            tickets: tickets
                .map(|((client, chance), subject)| Ticket { client, subject, chance })
                .collect(),
            ..Lottery::new(false)
        };
        check(FLAT, clients, 1000, |draw| lottery.shuffle(draw));
    }

    #[test]
    fn random_sorter_probability_distribution() {
        let weights = [("0", 1.0), ("1", 2.0), ("2", 3.0), ("3", 4.0), ("4", 5.0)];
        let (tree, clients) = tree(weights.map(|(path, _)| path), &weights);
        let mut lottery = Lottery::new(false);
        check(FLAT, clients, 1000, |draw| lottery.draw(&tree, draw));
    }

    #[test]
    fn random_sorter_hierarchical_probability_distribution() {
        let weights = [("a", 1.0), ("a/b", 2.0), ("c", 2.0), ("c/d", 1.0), ("c/e", 2.0)];
        let (tree, clients) = tree(["a", "a/b", "c/d", "c/e"], &weights);
        let mut lottery = Lottery::new(false);
        let expected = [
            [0.11, 0.15, 0.23, 0.51],
            [0.22, 0.27, 0.30, 0.21],
            [0.22, 0.27, 0.30, 0.21],
            [0.44, 0.31, 0.18, 0.07],
        ];
        check(expected, clients, 10_000, |draw| lottery.draw(&tree, draw));
    }
}
