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
    ///
    /// This is the weighted shuffle of Efraimidis and Spirakis (2006): clients are ordered by
    /// u^(1/w), largest first, with u between 0 and 1; ln(u)/w gives the same order.
    pub(crate) fn draw(&mut self, tree: &Tree, draw: Draw) -> Vec<ClientId> {
        if self.shape != Some(tree.shape) {
            self.shape = Some(tree.shape);
            self.tickets = tree.tickets(self.all);
        }
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
