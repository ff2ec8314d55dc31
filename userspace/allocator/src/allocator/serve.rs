//! Offering one agent.

use muster_resources::{Resource, Resources};

use super::Allocator;
use super::cycle::{Run, Stage};
use super::visit::{Floor, Visit};
use crate::amounts::Amounts;
use crate::ids::{AgentId, ClientId, FrameworkId, RoleId};
use crate::parts::{Parts, meets};
use crate::shelf::Shelf;
use crate::tally::Tally;
use crate::tree::Order;
use crate::wake::{Looser, Scope};
use crate::{Draw, Grant, SorterKind};

/// An agent's turn in a stage.
pub(super) struct Turn<'a> {
    pub(super) agent: AgentId,
    pub(super) stage: Stage,
    /// The number of the cycle.
    pub(super) cycle: u64,
    pub(super) scope: &'a Scope,
    /// What chance has in store for it.
    pub(super) draw: Draw,
}

/// An offer that has been decided on. It is counted when all of the agent's are: counting
/// changes the orders that are being walked along.
pub(super) struct Decided {
    pub(super) role: RoleId,
    pub(super) framework: FrameworkId,
    pub(super) resources: Resources,
    /// What of it counts against quota.
    pub(super) countable: Amounts,
}

/// What has been decided in an agent's turn.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) decided: Vec<Decided>,
    /// Whether it could be different another time.
    pub(super) by_chance: bool,
}

/// The roles that an agent is looked at for, and the frameworks in them if not all.
type Only = Vec<(RoleId, Option<Vec<ClientId>>)>;

impl Allocator {
    /// Offers what an agent has free to the roles and frameworks that come first. Whether it
    /// has to be looked at again in the next cycle.
    pub(super) fn serve(&mut self, turn: &Turn<'_>, run: &mut Run) -> bool {
        let Outcome { decided, by_chance } = self.decide(turn, run);
        let any = !decided.is_empty();
        for offer in decided {
            self.carry_out(turn, offer, run);
        }
        any || by_chance
    }

    /// Counts an offer.
    fn carry_out(&mut self, turn: &Turn<'_>, offer: Decided, run: &mut Run) {
        let Decided { role, framework, resources, countable } = offer;
        let agent = turn.agent;
        let tally = Tally::of(&resources, &mut self.names);
        self.count(framework, role, agent, tally, true);
        if resources.iter().any(Resource::is_revocable) {
            self.revocable.subtract(&self.names.scalars(&resources.revocable()));
        }
        self.note_held(framework, role, agent, resources.clone());
        let top = self.roles.top(role);
        if top != role && turn.stage == Stage::FairShare && self.roles.get(top).quota.is_some() {
            // Mesos charges the role above only from the next cycle on.
            self.roles.lag(top, &countable);
            self.roles.refresh_quota(top, &self.minima);
        }
        self.note(run, turn.stage, (framework, role, agent), resources);
    }

    fn decide(&mut self, turn: &Turn<'_>, run: &mut Run) -> Outcome {
        let mut outcome = Outcome::default();
        let random = self.options.role_sorter == SorterKind::Random;
        let drawn = random.then(|| self.roles.draw(turn.draw));
        let mut shelf = Shelf::new(&mut self.agents[turn.agent.index()], turn.cycle);
        if shelf.agent.is_empty() {
            return outcome;
        }
        let mut floor = Floor {
            names: &mut self.names,
            pool: &self.pool,
            frameworks: &self.frameworks,
            options: &self.options,
            minima: &self.minima,
            particular: self.particular > 0,
        };
        let useful = is_useful(&mut shelf, turn.stage, &mut floor, run);
        if !useful && (turn.stage == Stage::Guarantees || !shelf.has_reserved()) {
            return outcome;
        }
        let only = only(turn.scope);
        // Clients that are gone through one by one, or besides those in the tree's order.
        let listed: Vec<ClientId> = match (&only, turn.stage) {
            (Some(only), _) => self.roles.active(only.iter().map(|(role, _)| *role)),
            (None, Stage::Guarantees) => Vec::new(),
            (None, Stage::FairShare) if useful => self.roles.exhausted_that_gain(&shelf),
            (None, Stage::FairShare) => self.roles.active_below(&shelf.reservation_roles()),
        };
        let (tree, mut table) = self.roles.tree_and_table();
        let order = match (drawn, &only, turn.stage) {
            (Some(drawn), ..) => Order::List(drawn.into_iter()),
            (None, None, Stage::Guarantees) => tree.walk_marked(),
            (None, None, Stage::FairShare) if useful => tree.walk_with(listed),
            (None, ..) => Order::List(tree.sorted(listed).into_iter()),
        };
        for client in order {
            if turn.stage == Stage::Guarantees && !tree.is_marked(client) {
                continue;
            }
            let (id, role) = table.get(client);
            let Some(these) = wanted(only.as_ref(), id) else { continue };
            let path = role.path.clone();
            let particular = role.members.as_ref().is_some_and(|members| members.particular > 0);
            if !shelf.suffices(&path, particular, floor.minima, floor.names) {
                continue;
            }
            let mut visit = Visit::new(turn, id, role, &path);
            if turn.stage == Stage::Guarantees && visit.missing.is_zero() {
                continue;
            }
            let before = outcome.decided.len();
            if let Some(members) = role.members.as_deref_mut() {
                visit.frameworks(members, &these, &mut floor, &mut shelf, run, &mut outcome);
            }
            if outcome.decided.len() > before {
                let useful = is_useful(&mut shelf, turn.stage, &mut floor, run);
                if !useful && (turn.stage == Stage::Guarantees || !shelf.has_reserved()) {
                    break;
                }
            }
        }
        outcome
    }

    /// Notes a grant.
    fn note(
        &self,
        run: &mut Run,
        stage: Stage,
        (framework, role, agent): (FrameworkId, RoleId, AgentId),
        resources: Resources,
    ) {
        let path = &self.roles.get(role).path;
        let resources = resources.allocated_to(path);
        let key = (agent, framework, role);
        if let Some(index) = run.first.get(&key) {
            run.grants[*index].resources += resources;
            return;
        }
        if stage == Stage::Guarantees {
            run.first.insert(key, run.grants.len());
        }
        run.grants.push(Grant {
            framework: self.frameworks[framework.index()].id.clone(),
            role: path.to_string(),
            agent: self.agents[agent.index()].id.clone(),
            resources,
        });
    }
}

/// Whether what is free for everybody could go to somebody.
fn is_useful(shelf: &mut Shelf<'_>, stage: Stage, floor: &mut Floor<'_>, run: &Run) -> bool {
    let common = shelf.common(floor.names);
    match stage {
        Stage::Guarantees => !common.countable.is_zero(),
        Stage::FairShare => floor.particular || could_do(common, run, floor.minima),
    }
}

/// Whether what is free for everybody could make an offer.
fn could_do(common: &Parts, run: &Run, minima: &[Amounts]) -> bool {
    match run.surplus() {
        None => meets(&common.quantities, minima),
        Some(surplus) => {
            let mut quantities = common.quantities.clone();
            quantities.subtract(&common.countable.minus_floored(&surplus));
            !quantities.is_zero() && meets(&quantities, minima)
        }
    }
}

fn only(scope: &Scope) -> Option<Only> {
    let Scope::Only(who) = scope else { return None };
    let mut only = Only::new();
    for looser in who {
        let (role, client) = match looser {
            Looser::Role(role) => (*role, None),
            Looser::Member(role, client) => (*role, Some(*client)),
        };
        let known = only.iter_mut().find(|(other, _)| *other == role);
        match (known, client) {
            (Some((_, clients)), None) => *clients = None,
            (Some((_, Some(clients))), Some(client)) => clients.push(client),
            (Some((_, None)), Some(_)) => {}
            (None, client) => only.push((role, client.map(|client| vec![client]))),
        }
    }
    Some(only)
}

/// Which frameworks of a role are looked at.
pub(super) enum Wanted<'a> {
    All,
    These(&'a [ClientId]),
}

/// Which frameworks of a role are looked at, if any.
fn wanted(only: Option<&Only>, role: RoleId) -> Option<Wanted<'_>> {
    let Some(only) = only else { return Some(Wanted::All) };
    let (_, clients) = only.iter().find(|(other, _)| *other == role)?;
    Some(clients.as_deref().map_or(Wanted::All, Wanted::These))
}
