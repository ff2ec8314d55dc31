//! Offering one agent to the frameworks of one role.

use slab::Slab;

use super::aim::Wanted;
use super::cycle::{Run, Stage};
use super::serve::{Decided, Outcome, Turn};
use crate::amounts::Amounts;
use crate::class::Classes;
use crate::framework::Framework;
use crate::ids::{ClientId, RoleId};
use crate::names::Names;
use crate::parts::{Bounds, meets};
use crate::pool::Pool;
use crate::role::{Members, Role};
use crate::shelf::Shelf;
use crate::tree::Order;
use crate::{Draw, Options, SorterKind, draw};

/// What does not change during a visit.
pub(super) struct Floor<'a> {
    pub(super) names: &'a mut Names,
    pub(super) pool: &'a Pool,
    pub(super) frameworks: &'a Slab<Framework>,
    pub(super) options: &'a Options,
    pub(super) minima: &'a [Amounts],
    /// Whether any framework has minima of its own.
    pub(super) particular: bool,
    /// The frameworks that suit the agent.
    pub(super) classes: Classes,
}

/// A role at an agent's turn.
pub(super) struct Visit<'a> {
    turn: &'a Turn<'a>,
    role: RoleId,
    path: &'a str,
    draw: Draw,
    /// What the role lacks of its guarantees.
    pub(super) missing: Amounts,
    /// What it may still have of limited names, if any are.
    limits: Option<Vec<(usize, i64)>>,
}

impl<'a> Visit<'a> {
    pub(super) fn new(turn: &'a Turn<'a>, id: RoleId, role: &Role, path: &'a str) -> Self {
        let (mut missing, mut limits) = (Amounts::default(), None);
        if let Some(quota) = &role.quota {
            let consumed = role.consumed_in_cycle();
            limits = role.limits_left(&consumed);
            if turn.stage == Stage::Guarantees {
                missing = quota.guarantees.minus_floored(&consumed);
            }
        }
        let draw = turn.draw.of(draw::hash(path));
        Self { turn, role: id, path, draw, missing, limits }
    }

    /// Offers the agent to the role's frameworks, or to some of them.
    pub(super) fn frameworks(
        &mut self,
        members: &mut Members,
        wanted: &Wanted,
        floor: &mut Floor<'_>,
        shelf: &mut Shelf<'_>,
        run: &mut Run,
        outcome: &mut Outcome,
    ) {
        if self.path.contains('/') && !shelf.agent.options.capabilities.hierarchical_role {
            return;
        }
        members.tree.refresh(floor.pool);
        let random = floor.options.framework_sorter == SorterKind::Random;
        if random {
            members.lottery.refresh(&members.tree);
        }
        let members = &*members;
        let only = |only: &[ClientId]| -> Vec<ClientId> {
            let is_active = |client: &&ClientId| {
                members.get(**client).is_some() && members.tree.is_active(**client)
            };
            only.iter().filter(is_active).copied().collect()
        };
        let order = match wanted {
            Wanted::All if random => Order::Drawn(members.lottery.draw(&members.tree, self.draw)),
            Wanted::All => members.tree.walk_with(Vec::new()),
            Wanted::These(these) if random => {
                Order::Drawn(members.lottery.draw_some(only(these).into_iter(), self.draw))
            }
            Wanted::These(these) => Order::List(members.tree.sorted(only(these)).into_iter()),
        };
        let mut surplus = run.surplus();
        for client in order {
            if self.turn.stage == Stage::Guarantees && self.missing.is_zero() {
                break;
            }
            let Some(member) = members.get(client) else { continue };
            if !floor.classes.contains(member.traits.class) {
                continue;
            }
            let minima = member.minima.as_deref().unwrap_or(floor.minima);
            let (parts, agent) = shelf.parts(self.path, member.traits.knows, floor.names);
            if parts.all.is_empty() || !meets(&parts.quantities, minima) {
                continue;
            }
            let (refusals, generation) = (&agent.refusals, member.generation);
            let who = (self.role, client);
            // Asked of many frameworks, with the same answer.
            let refuses_all =
                || refusals.refuse(who, generation, &parts.all, || parts.is_in_last(refusals));
            let bounds = Bounds {
                missing: (self.turn.stage == Stage::Guarantees).then_some(&self.missing),
                limits: self.limits.as_deref(),
                surplus: surplus.as_ref(),
            };
            if bounds.are_none() && refuses_all() {
                continue;
            }
            let framework = &floor.frameworks[member.framework.index()];
            let constraints = &framework.options.offer_constraints;
            if member.traits.constrained && constraints.excludes(self.path, &agent.options) {
                continue;
            }
            let draw = self.draw.of(framework.subject);
            let Some(offer) = parts.offer(&bounds, floor.names, draw) else { continue };
            outcome.by_chance |= offer.by_chance;
            let mut quantities = parts.quantities.clone();
            quantities.subtract(&parts.countable);
            quantities.add(&offer.countable);
            if quantities.is_zero() || !meets(&quantities, minima) {
                continue;
            }
            let refused = match &offer.resources {
                Some(cut) => refusals.refuse(who, generation, cut, || refusals.last_contains(cut)),
                None => !bounds.are_none() && refuses_all(),
            };
            if refused {
                continue;
            }
            let resources = offer.resources.unwrap_or_else(|| parts.all.clone());
            self.missing.subtract_floored(&offer.countable);
            for (name, left) in self.limits.iter_mut().flatten() {
                *left = (*left - offer.countable.get(*name)).max(0);
            }
            run.required.subtract_floored(&offer.guaranteed);
            run.available.subtract_floored(&offer.countable);
            surplus = run.surplus();
            shelf.take(&resources);
            outcome.decided.push(Decided {
                role: self.role,
                framework: member.framework,
                resources,
                countable: offer.countable,
            });
            if !shelf.suffices(self.path, members.particular > 0, floor.minima, floor.names) {
                break;
            }
        }
    }
}
