//! Choosing offers, and taking from them what the instances need.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use muster_api::mesos::Offer;
use muster_resources::{Name, Resource, Resources, Scalar};

use super::{Reason, allows};
use crate::app::{App, HostPort, Operator};
use crate::ids::IdSource;
use crate::instance::Agent;
use crate::offer::{Pool, port_at};

/// An offer on the table, and what has been taken from it for whichever application.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The offer.
    pub offer: &'a Offer,
    /// Its agent.
    pub agent: Agent,
    /// What it holds.
    pub offered: Resources,
    /// What of that is taken.
    pub taken: Resources,
}

impl<'a> Candidate<'a> {
    /// An offer that nothing has been taken from. One whose resources make no sense is
    /// as good as empty.
    pub fn new(offer: &'a Offer) -> Self {
        let offered = Resources::from_proto(&offer.resources).unwrap_or_default();
        Self { offer, agent: Agent::of(offer), offered, taken: Resources::default() }
    }
}

/// One instance placed on an offer.
#[derive(Debug)]
pub struct Placed {
    /// Index of the offer.
    pub offer: usize,
    /// What it takes.
    pub resources: Resources,
    /// Its host ports.
    pub ports: Vec<u16>,
}

/// An offer's turn; the least is next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// Instances on its agent.
    there: usize,
    /// Those of them that it was given now.
    here: usize,
    index: usize,
}

/// Why each offer that was looked at in vain was, by its index.
type Unused = Vec<(usize, Vec<Reason>)>;

/// Places up to `count` instances of `app` on `offers`, at most `limit` on each, beside
/// the instances on `placed`: always on the agent that has the fewest. Says what was
/// placed, and for each offer on which nothing was, why not.
pub fn place(
    app: &App,
    count: u32,
    limit: usize,
    offers: &mut [Candidate<'_>],
    placed: &[Agent],
    ids: &mut IdSource,
) -> (Vec<Placed>, Unused) {
    // Mostly the first few offers are enough: pools are made when they are looked at.
    let mut pools: Vec<Option<Pool>> = offers.iter().map(|_| None).collect();
    let agents: Vec<Agent> = offers.iter().map(|candidate| candidate.agent.clone()).collect();
    let mut beside: Vec<&Agent> = placed.iter().collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for agent in placed {
        *counts.entry(&agent.id).or_default() += 1;
    }
    let mut queue: BinaryHeap<Reverse<Turn>> = agents
        .iter()
        .enumerate()
        .map(|(index, agent)| {
            let there = counts.get(agent.id.as_str()).copied().unwrap_or(0);
            Reverse(Turn { there, here: 0, index })
        })
        .collect();
    // An agent in a group that is ahead has its turn when the others have caught up.
    let groups = app.spec.constraints.iter().any(|c| c.operator == Operator::GroupBy);
    let mut ahead: Vec<(Turn, Vec<Reason>)> = Vec::new();
    let (mut launches, mut unused) = (Vec::new(), Vec::new());
    while launches.len() < count as usize {
        let Some(Reverse(turn)) = queue.pop() else { break };
        let Turn { there, here, index } = turn;
        let candidate = &mut offers[index];
        let pool = pools[index].get_or_insert_with(|| {
            let mut pool = Pool::new(&candidate.offered, &app.spec.accepted_resource_roles);
            pool.remove(&candidate.taken);
            pool
        });
        match fit(app, &agents[index], pool, &beside, ids) {
            Ok((resources, ports)) => {
                candidate.taken += &resources;
                launches.push(Placed { offer: index, resources, ports });
                beside.push(&agents[index]);
                queue.extend(ahead.drain(..).map(|(turn, _)| Reverse(turn)));
                if here + 1 < limit {
                    queue.push(Reverse(Turn { there: there + 1, here: here + 1, index }));
                }
            }
            Err(reasons) if groups && reasons == [Reason::UnfulfilledConstraint] => {
                ahead.push((turn, reasons));
            }
            Err(reasons) if here == 0 => unused.push((index, reasons)),
            Err(_) => {}
        }
    }
    unused.extend(ahead.into_iter().filter(|(turn, _)| turn.here == 0).map(|(t, r)| (t.index, r)));
    (launches, unused)
}

/// Takes what one instance needs out of `pool`, or says what is missing.
fn fit(
    app: &App,
    agent: &Agent,
    pool: &mut Pool,
    beside: &[&Agent],
    ids: &mut IdSource,
) -> Result<(Resources, Vec<u16>), Vec<Reason>> {
    if pool.is_empty() {
        return Err(vec![Reason::UnfulfilledRole]);
    }
    let mut reasons = Vec::new();
    let constraints = &app.spec.constraints;
    if !constraints.iter().all(|c| allows(c, agent, beside)) {
        reasons.push(Reason::UnfulfilledConstraint);
    }
    let mut left = pool.clone();
    let mut resources = Resources::default();
    for (name, amount, reason) in [
        (Name::CPUS, app.spec.cpus, Reason::InsufficientCpus),
        (Name::MEM, app.spec.mem, Reason::InsufficientMemory),
        (Name::DISK, app.spec.disk, Reason::InsufficientDisk),
    ] {
        // Amounts were checked when they came in; one that is none is never there.
        let amount = Scalar::from_f64(amount).ok();
        match amount.and_then(|amount| left.take_scalar(&name, amount)) {
            Some(taken) => resources += &taken,
            None => reasons.push(reason),
        }
    }
    let mut numbers = Vec::new();
    for (number, resource) in take_ports(app, &mut left, ids).unwrap_or_else(|| {
        reasons.push(Reason::InsufficientPorts);
        Vec::new()
    }) {
        numbers.push(number);
        if let Some(resource) = resource {
            resources.add(resource);
        }
    }
    if reasons.is_empty() {
        *pool = left;
        Ok((resources, numbers))
    } else {
        Err(reasons)
    }
}

/// The host ports, in the order of the definitions: the required ones exactly, the
/// others wherever there is room. 0 is for those that have none.
fn take_ports(
    app: &App,
    pool: &mut Pool,
    ids: &mut IdSource,
) -> Option<Vec<(u16, Option<Resource>)>> {
    let mut ports: Vec<Option<(u16, Option<Resource>)>> = Vec::new();
    for definition in &app.spec.ports {
        ports.push(match definition.host_port(app.spec.require_ports) {
            HostPort::Fixed(port) => Some((port, Some(pool.take_port(port)?))),
            HostPort::None => Some((0, None)),
            HostPort::Any => None,
        });
    }
    // Dynamic ports are chosen at random, so that a port that was just given up is
    // rarely given to someone else while old connections still know it.
    for port in ports.iter_mut().filter(|port| port.is_none()) {
        let left = pool.ports();
        let number = port_at(&left, ids.below(left.count()))?;
        *port = Some((number, Some(pool.take_port(number)?)));
    }
    ports.into_iter().collect()
}
