//! Offering one agent.

use muster_resources::{Resource, Resources};

use super::Allocator;
use super::aim::Aim;
use super::cycle::{Run, Stage};
use super::visit::{Floor, Visit};
use crate::amounts::Amounts;
use crate::class::Classes;
use crate::ids::{AgentId, ClientId, FrameworkId, RoleId};
use crate::parts::{Parts, meets};
use crate::roles::Lacking;
use crate::shelf::Shelf;
use crate::tally::Tally;
use crate::tree::Order;
use crate::{Draw, Grant, SorterKind};

/// An agent's turn in a stage.
pub(super) struct Turn<'a> {
    pub(super) agent: AgentId,
    /// Whether it is special, if it is idle: see [`Idle`](crate::roster::Idle).
    pub(super) idle: Option<bool>,
    pub(super) stage: Stage,
    /// The number of the cycle.
    pub(super) cycle: u64,
    pub(super) aim: &'a Aim,
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

impl Allocator {
    /// Offers what an agent has free to the roles and frameworks that come first; whether
    /// anybody was given anything.
    pub(super) fn serve(&mut self, turn: &Turn<'_>, run: &mut Run) -> bool {
        let Outcome { decided, by_chance } = self.decide(turn, run);
        let any = !decided.is_empty();
        if by_chance || any {
            run.restless.push(turn.agent);
        }
        for offer in decided {
            self.carry_out(turn, offer, run);
        }
        any
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
        if random {
            self.roles.refresh_lottery();
        }
        if let Some(mut only) = turn.aim.roles() {
            let any = match turn.stage {
                Stage::Guarantees => only.any(|role| self.roles.is_hungry(role)),
                Stage::FairShare => {
                    let is_special = || self.agents[turn.agent.index()].is_special();
                    only.any(|role| self.roles.is_open(role))
                        || turn.idle.unwrap_or_else(is_special)
                }
            };
            if !any {
                return outcome;
            }
        }
        let agent = &mut self.agents[turn.agent.index()];
        let classes = Classes::suiting(agent, self.options.filter_gpu_resources);
        if !self.roles.classes().meets(classes) {
            return outcome;
        }
        let mut shelf = Shelf::new(agent, turn.cycle);
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
            classes,
        };
        let useful = is_useful(&mut shelf, turn.stage, &mut floor, &self.roles.lacking, run);
        if !useful && (turn.stage == Stage::Guarantees || !shelf.has_reserved()) {
            return outcome;
        }
        // Clients that are gone through one by one, or besides those in the tree's order.
        let listed: Vec<ClientId> = match (turn.aim.roles(), turn.stage) {
            (Some(only), _) => self.roles.active(only),
            (None, Stage::Guarantees) => Vec::new(),
            (None, Stage::FairShare) if useful => self.roles.exhausted_that_gain(&shelf),
            (None, Stage::FairShare) => self.roles.active_below(&shelf.reservation_roles()),
        };
        let (tree, lottery, lacking, mut table) = self.roles.parts();
        let (all, stage) = (*turn.aim == Aim::Everybody, turn.stage);
        let order = match (all, stage) {
            (true, Stage::Guarantees) if random => {
                Order::Drawn(lottery.draw_some(tree.walk_marked(), turn.draw))
            }
            (true, Stage::Guarantees) => tree.walk_marked(),
            (true, Stage::FairShare) if useful && random => {
                let mut drawn = lottery.draw(tree, turn.draw);
                drawn.extend(lottery.draw_some(listed.into_iter(), turn.draw));
                Order::Drawn(drawn)
            }
            (true, Stage::FairShare) if useful => tree.walk_with(listed),
            _ if random => Order::Drawn(lottery.draw_some(listed.into_iter(), turn.draw)),
            _ => Order::List(tree.sorted(listed).into_iter()),
        };
        for client in order {
            if turn.stage == Stage::Guarantees && !tree.is_marked(client) {
                continue;
            }
            let (id, role) = table.get(client);
            let Some(wanted) = turn.aim.wanted(id) else { continue };
            let Some(members) =
                role.members.as_ref().filter(|members| members.known.meets(classes))
            else {
                continue;
            };
            let (path, particular) = (role.path.clone(), members.particular > 0);
            if !shelf.suffices(&path, particular, floor.minima, floor.names) {
                continue;
            }
            let mut visit = Visit::new(turn, id, role, &path);
            if turn.stage == Stage::Guarantees && visit.missing.is_zero() {
                continue;
            }
            let before = outcome.decided.len();
            if let Some(members) = role.members.as_deref_mut() {
                visit.frameworks(members, wanted, &mut floor, &mut shelf, run, &mut outcome);
            }
            if outcome.decided.len() > before {
                let useful = is_useful(&mut shelf, turn.stage, &mut floor, lacking, run);
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
fn is_useful(
    shelf: &mut Shelf<'_>,
    stage: Stage,
    floor: &mut Floor<'_>,
    lacking: &Lacking,
    run: &Run,
) -> bool {
    let common = shelf.common(floor.names);
    match stage {
        Stage::Guarantees => lacking.any_of(&common.countable),
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
