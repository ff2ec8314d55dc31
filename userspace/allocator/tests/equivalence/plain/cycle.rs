//! One allocation cycle.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_resources::{Limits, Quantities, Resource, Resources, role};

use muster_allocator::{Draw, Grant, Quota};

use super::{Agent, Client, Framework, Plain};

/// The two stages; chance is different in them.
const GUARANTEES: u64 = 0;
const FAIR_SHARE: u64 = 1;

/// What a cycle keeps an eye on.
pub(super) struct Ledger {
    /// Of roles with quota.
    pub(super) consumed: BTreeMap<String, Quantities>,
    /// What has to stay free for guarantees.
    pub(super) required: Quantities,
    /// What is free and not set aside.
    available: Quantities,
}

impl Ledger {
    pub(super) fn surplus(&self) -> Quantities {
        let mut surplus = self.available.clone();
        surplus.subtract_all(&self.required);
        surplus
    }
}

impl Plain {
    /// Hands out what is free, of all agents. Grants are in the order in which they were
    /// made, and what they hold counts as the framework's until it is recovered.
    pub(crate) fn allocate(&mut self, now: Duration) -> Vec<Grant> {
        let agents: Vec<String> = self.agents.keys().cloned().collect();
        let grants = self.allocate_agents(now, &agents);
        self.full_cycles += 1;
        grants
    }

    /// Hands out what is free of some agents.
    pub(crate) fn allocate_agents(&mut self, now: Duration, agents: &[String]) -> Vec<Grant> {
        let full_cycles = self.full_cycles;
        self.cycles += 1;
        for framework in self.frameworks.values_mut() {
            for filters in framework.filters.values_mut() {
                filters.retain(|filter| !filter.is_over(now, full_cycles));
            }
            framework.filters.retain(|_, filters| !filters.is_empty());
        }
        let mut agents: Vec<(u64, String)> = agents
            .iter()
            .filter_map(|id| {
                let agent = self.agents.get(id)?;
                let listed =
                    self.whitelist.as_ref().is_none_or(|l| l.contains(&agent.options.hostname));
                (listed && agent.active).then(|| (agent.serial, id.clone()))
            })
            .collect();
        agents.sort_unstable();
        agents.dedup();
        let mut ledger = self.ledger();
        let mut offered: BTreeMap<String, Resources> = BTreeMap::new();
        let mut grants: Vec<Grant> = Vec::new();
        for stage in [GUARANTEES, FAIR_SHARE] {
            let draw = self.draw.of(self.cycles).of(stage);
            agents.sort_by_key(|(serial, _)| (draw.of(*serial).number(), *serial));
            for (serial, id) in &agents {
                let offered = offered.entry(id.clone()).or_default();
                self.serve(id, stage, draw.of(*serial), &mut ledger, offered, &mut grants);
            }
        }
        grants
    }

    pub(super) fn ledger(&self) -> Ledger {
        let total = self.total();
        let mut ledger =
            Ledger { consumed: BTreeMap::new(), required: Quantities::default(), available: total };
        for (role, quota) in &self.quotas {
            let consumed = self.consumed(role);
            let mut missing = quota.guarantees.clone();
            missing.subtract_all(&consumed);
            ledger.required.add_all(&missing);
            ledger.consumed.insert(role.clone(), consumed);
        }
        ledger.available.subtract_all(&self.role_sorter.quantities(|_| true));
        let mut set_aside = Quantities::default();
        let mut set_aside_and_held = Quantities::default();
        for agent in self.agents.values() {
            set_aside.add_all(&Quantities::of_scalars(&agent.options.total.reserved()));
            let mut held = Resources::default();
            for ((framework, _), resources) in &agent.held {
                if self.frameworks.contains_key(framework) {
                    held += &resources.reserved();
                }
            }
            set_aside_and_held.add_all(&Quantities::of_scalars(&held));
        }
        set_aside.subtract_all(&set_aside_and_held);
        ledger.available.subtract_all(&set_aside);
        for agent in self.agents.values() {
            let revocable = agent.available().revocable();
            ledger.available.subtract_all(&Quantities::of_scalars(&revocable));
        }
        ledger
    }

    /// What counts against a role's quota: what it and its subroles have, and all that is
    /// reserved to them.
    fn consumed(&self, role: &str) -> Quantities {
        let is_below = |other: &str| other == role || role::is_strict_subrole_of(other, role);
        let mut consumed = Quantities::default();
        for agent in self.agents.values() {
            let mut held = Resources::default();
            for ((framework, role), resources) in &agent.held {
                if is_below(role) && self.frameworks.contains_key(framework) {
                    held += &resources.unreserved().non_revocable();
                }
            }
            consumed.add_all(&Quantities::of_scalars(&held));
            let reserved =
                agent.options.total.filter(|r| r.reservation_role().is_some_and(is_below));
            consumed.add_all(&Quantities::of_scalars(&reserved));
        }
        consumed
    }

    /// Offers what one agent has free to the roles and frameworks that come first.
    fn serve(
        &mut self,
        id: &str,
        stage: u64,
        draw: Draw,
        ledger: &mut Ledger,
        offered: &mut Resources,
        grants: &mut Vec<Grant>,
    ) {
        let total = self.total();
        let excluded = self.options.excluded.clone();
        for role in self.role_sorter.sort(&total, &excluded, draw) {
            let quota = self.quotas.get(&role).cloned();
            let consumed = ledger.consumed.get(&role).cloned().unwrap_or_default();
            let mut unsatisfied = quota.clone().unwrap_or_default().guarantees;
            unsatisfied.subtract_all(&consumed);
            if stage == GUARANTEES && unsatisfied.is_empty() {
                continue;
            }
            let Some(sorter) = self.framework_sorters.get(&role) else { continue };
            for framework_id in sorter.sort(&total, &excluded, draw.of_text(&role)) {
                if stage == GUARANTEES && unsatisfied.is_empty() {
                    break;
                }
                let Some(agent) = self.agents.get(id) else { return };
                let Some(framework) = self.frameworks.get(&framework_id) else { continue };
                let available = agent.available().allocatable_to(&role) - &*offered;
                if available.is_empty() {
                    break;
                }
                if framework.options.offer_constraints.excludes(&role, &agent.options)
                    || !self.is_allocatable(framework, &role, &available)
                    || !self.is_capable(framework, agent)
                {
                    continue;
                }
                let available = strip(&available, framework);
                let draw = draw.of_text(&role).of_text(&framework_id);
                let offer = match stage {
                    GUARANTEES => {
                        guarantee(&role, quota.as_ref(), &unsatisfied, &available, ledger, draw)
                    }
                    _ => Some(fair_share(&role, quota.as_ref(), &available, ledger, draw)),
                };
                let Some(Offer { resources, guaranteed, extra }) = offer else { continue };
                if !self.is_allocatable(framework, &role, &resources)
                    || is_filtered(framework, agent, id, &role, &resources)
                {
                    continue;
                }
                let mut taken = guaranteed.clone();
                taken.add_all(&extra);
                unsatisfied.subtract_all(&taken);
                if let Some(consumed) = ledger.consumed.get_mut(&role) {
                    consumed.add_all(&taken);
                }
                ledger.required.subtract_all(&guaranteed);
                ledger.available.subtract_all(&taken);
                *offered += &resources.shared();
                self.hold(&(framework_id.clone(), role.clone()), id, resources.clone());
                note(grants, (framework_id, role.clone()), id, resources);
            }
        }
    }

    /// Whether an offer is worth making.
    fn is_allocatable(&self, framework: &Framework, role: &str, offer: &Resources) -> bool {
        let wanted =
            framework.options.min_allocatable.get(role).unwrap_or(&self.options.min_allocatable);
        !offer.is_empty()
            && (wanted.is_empty() || wanted.iter().any(|wanted| offer.contains_quantities(wanted)))
    }

    pub(super) fn is_capable(&self, framework: &Framework, agent: &Agent) -> bool {
        let capabilities = framework.options.capabilities;
        let has_gpus = !agent.options.total.scalar("gpus").is_zero();
        let is_remote = agent.options.domain.as_ref().is_some_and(|domain| {
            self.options.region.as_ref().is_some_and(|r| *r != domain.region)
        });
        (capabilities.gpu_resources || !has_gpus || !self.options.filter_gpu_resources)
            && (capabilities.region_aware || !is_remote)
    }
}

/// What may be offered, and how much of it counts against quota.
struct Offer {
    resources: Resources,
    guaranteed: Quantities,
    extra: Quantities,
}

/// Whether quota is about it.
pub(super) fn counts(resource: &Resource) -> bool {
    resource.is_scalar() && !resource.is_reserved() && !resource.is_revocable()
}

/// Without what the framework does not know.
pub(super) fn strip(available: &Resources, framework: &Framework) -> Resources {
    let knows = framework.options.capabilities;
    available.filter(|resource| {
        (knows.shared_resources || !resource.is_shared())
            && (knows.revocable_resources || !resource.is_revocable())
            && (knows.reservation_refinement || !resource.has_refined_reservations())
    })
}

fn guarantee(
    role: &str,
    quota: Option<&Quota>,
    unsatisfied: &Quantities,
    available: &Resources,
    ledger: &Ledger,
    draw: Draw,
) -> Option<Offer> {
    let countable = available.filter(|resource| counts(resource));
    let guaranteed = countable.shrunk_to(unsatisfied, |at| draw.of(0).of(at as u64).number());
    if guaranteed.is_empty() {
        return None;
    }
    let mut extra = countable - &guaranteed;
    let guaranteed_amount = Quantities::of_scalars(&guaranteed);
    if let Some(limits) = limits(quota) {
        let mut consumed = ledger.consumed.get(role).cloned().unwrap_or_default();
        consumed.add_all(&guaranteed_amount);
        extra = extra
            .shrunk_to_limits(&limits.minus(&consumed), |at| draw.of(1).of(at as u64).number());
    }
    if !ledger.required.is_empty() {
        extra = extra.shrunk_to(&ledger.surplus(), |at| draw.of(2).of(at as u64).number());
    }
    let with_it = available
        .filter(|r| r.reservation_role() == Some(role) || !r.is_scalar() || r.is_revocable());
    let extra_amount = Quantities::of_scalars(&extra);
    Some(Offer {
        resources: guaranteed + with_it + extra,
        guaranteed: guaranteed_amount,
        extra: extra_amount,
    })
}

fn fair_share(
    role: &str,
    quota: Option<&Quota>,
    available: &Resources,
    ledger: &Ledger,
    draw: Draw,
) -> Offer {
    let mut extra = available.filter(|resource| counts(resource));
    if let Some(limits) = limits(quota) {
        let consumed = ledger.consumed.get(role).cloned().unwrap_or_default();
        extra = extra
            .shrunk_to_limits(&limits.minus(&consumed), |at| draw.of(1).of(at as u64).number());
    }
    if !ledger.required.is_empty() && !extra.is_empty() {
        extra = extra.shrunk_to(&ledger.surplus(), |at| draw.of(2).of(at as u64).number());
    }
    let rest = available.filter(|resource| !counts(resource));
    let extra_amount = Quantities::of_scalars(&extra);
    Offer { resources: rest + extra, guaranteed: Quantities::default(), extra: extra_amount }
}

pub(super) fn limits(quota: Option<&Quota>) -> Option<&Limits> {
    quota.map(|quota| &quota.limits).filter(|limits| !limits.is_empty())
}

/// Whether an agent can tell roles apart as far as it must.
pub(super) fn is_known_to(framework: &Framework, role: &str, agent: &Agent) -> bool {
    let knows = agent.options.capabilities;
    (knows.multi_role || !framework.options.capabilities.multi_role)
        && (knows.hierarchical_role || !role.contains('/'))
}

fn is_filtered(
    framework: &Framework,
    agent: &Agent,
    id: &str,
    role: &str,
    offer: &Resources,
) -> bool {
    if !is_known_to(framework, role, agent) {
        return true;
    }
    let filters = framework.filters.get(&(role.to_owned(), id.to_owned()));
    filters.is_some_and(|filters| filters.iter().any(|filter| filter.refuses(offer)))
}

/// Adds to what the client was granted of the agent in this cycle.
fn note(grants: &mut Vec<Grant>, client: Client, agent: &str, resources: Resources) {
    let resources = resources.allocated_to(&client.1);
    let same = grants.iter_mut().find(|grant| {
        grant.agent == agent && grant.framework == client.0 && grant.role == client.1
    });
    match same {
        Some(grant) => grant.resources += resources,
        None => grants.push(Grant {
            framework: client.0,
            role: client.1,
            agent: agent.to_owned(),
            resources,
        }),
    }
}
