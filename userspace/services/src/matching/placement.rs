//! Choosing offers, and taking from them what the instances need.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use muster_api::mesos::{Offer, Resource};

use super::{Reason, allows};
use crate::app::App;
use crate::ids::IdSource;
use crate::instance::Agent;
use crate::offer::{Pool, thousandths};

/// An offer on the table, and what has been taken from it for whichever application.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The offer.
    pub offer: &'a Offer,
    /// Its agent.
    pub agent: Agent,
    /// What is taken: the offer's resources less these are left.
    pub taken: Vec<Resource>,
}

impl<'a> Candidate<'a> {
    /// An offer that nothing has been taken from.
    pub fn new(offer: &'a Offer) -> Self {
        Self { offer, agent: Agent::of(offer), taken: Vec::new() }
    }
}

/// One instance placed on an offer.
#[derive(Debug)]
pub struct Placed {
    /// Index of the offer.
    pub offer: usize,
    /// What it takes.
    pub resources: Vec<Resource>,
    /// Its host ports.
    pub ports: Vec<u16>,
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
    let mut pools: Vec<Pool> = offers
        .iter()
        .map(|candidate| {
            let mut pool = Pool::new(candidate.offer, &app.spec.accepted_resource_roles);
            pool.remove(&candidate.taken);
            pool
        })
        .collect();
    let agents: Vec<Agent> = offers.iter().map(|candidate| candidate.agent.clone()).collect();
    let mut beside: Vec<&Agent> = placed.iter().collect();
    let mut queue: BinaryHeap<Reverse<(usize, usize, usize)>> = agents
        .iter()
        .enumerate()
        .map(|(index, agent)| {
            let there = placed.iter().filter(|other| other.id == agent.id).count();
            Reverse((there, 0, index))
        })
        .collect();
    let (mut launches, mut unused) = (Vec::new(), Vec::new());
    while launches.len() < count as usize {
        let Some(Reverse((there, here, index))) = queue.pop() else { break };
        match fit(app, &agents[index], &mut pools[index], &beside, ids) {
            Ok((resources, ports)) => {
                offers[index].taken.extend(resources.iter().cloned());
                launches.push(Placed { offer: index, resources, ports });
                beside.push(&agents[index]);
                if here + 1 < limit {
                    queue.push(Reverse((there + 1, here + 1, index)));
                }
            }
            Err(reasons) if here == 0 => unused.push((index, reasons)),
            Err(_) => {}
        }
    }
    (launches, unused)
}

/// Takes what one instance needs out of `pool`, or says what is missing.
fn fit(
    app: &App,
    agent: &Agent,
    pool: &mut Pool,
    beside: &[&Agent],
    ids: &mut IdSource,
) -> Result<(Vec<Resource>, Vec<u16>), Vec<Reason>> {
    if pool.is_empty() {
        return Err(vec![Reason::UnfulfilledRole]);
    }
    let mut reasons = Vec::new();
    let constraints = &app.spec.constraints;
    if !constraints.iter().all(|c| allows(c, agent, beside, app.instances)) {
        reasons.push(Reason::UnfulfilledConstraint);
    }
    let mut left = pool.clone();
    let mut resources = Vec::new();
    for (name, amount, reason) in [
        ("cpus", app.spec.cpus, Reason::InsufficientCpus),
        ("mem", app.spec.mem, Reason::InsufficientMemory),
        ("disk", app.spec.disk, Reason::InsufficientDisk),
    ] {
        match left.take_scalar(name, thousandths(amount)) {
            Some(taken) => resources.extend(taken),
            None => reasons.push(reason),
        }
    }
    let mut numbers = Vec::new();
    for (number, resource) in take_ports(app, &mut left, ids).unwrap_or_else(|| {
        reasons.push(Reason::InsufficientPorts);
        Vec::new()
    }) {
        numbers.push(number);
        resources.push(resource);
    }
    if reasons.is_empty() {
        *pool = left;
        Ok((resources, numbers))
    } else {
        Err(reasons)
    }
}

/// The host ports, in the order of the definitions: the required ones exactly, the
/// others wherever there is room.
fn take_ports(app: &App, pool: &mut Pool, ids: &mut IdSource) -> Option<Vec<(u16, Resource)>> {
    let required = |port: u16| app.spec.require_ports && port != 0;
    let mut ports: Vec<Option<(u16, Resource)>> = Vec::new();
    for definition in &app.spec.ports {
        ports.push(if required(definition.port) {
            Some((definition.port, pool.take_port(definition.port)?))
        } else {
            None
        });
    }
    // Dynamic ports are chosen at random, so that a port that was just given up is
    // rarely given to someone else while old connections still know it.
    for port in ports.iter_mut().filter(|port| port.is_none()) {
        let number = pool.port_at(ids.below(pool.port_count()))?;
        *port = Some((number, pool.take_port(number)?));
    }
    ports.into_iter().collect()
}
