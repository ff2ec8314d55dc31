//! Both allocators side by side.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_allocator::{Allocator, Error, Grant, Options, Shares, SorterKind};
use muster_resources::{
    Conversion, Details, Disk, Operation, Reservation, Resource, Resources, Scalar, Value,
};

use crate::call::{Call, role};
use crate::plain::Plain;

/// What somebody has: offered or used.
#[derive(Clone, Debug)]
struct Held {
    framework: String,
    role: String,
    agent: String,
    resources: Resources,
}

pub(crate) struct Pair {
    fast: Allocator,
    plain: Plain,
    drf: bool,
    now: Duration,
    held: Vec<Held>,
}

type Outcome = Result<(), String>;

fn same<T: PartialEq + std::fmt::Debug>(fast: &T, plain: &T) -> Outcome {
    if fast == plain {
        return Ok(());
    }
    Err(format!("{fast:#?} is not {plain:#?}"))
}

/// Errors are the same if they are of one kind: the texts say what there is, in some order.
fn same_result(fast: &Result<(), Error>, plain: &Result<(), Error>) -> Outcome {
    let kind = |result: &Result<(), Error>| result.as_ref().err().map(std::mem::discriminant);
    if kind(fast) == kind(plain) { Ok(()) } else { Err(format!("{fast:?} is not {plain:?}")) }
}

fn agent_id(number: u8) -> String {
    format!("agent{number}")
}

fn framework_id(number: u8) -> String {
    format!("framework{number}")
}

fn named(roles: &[u8]) -> Vec<String> {
    roles.iter().map(|number| role(*number)).collect()
}

impl Pair {
    pub(crate) fn new(options: Options) -> Self {
        let drf = [options.role_sorter, options.framework_sorter] == [SorterKind::Drf; 2];
        Self {
            fast: Allocator::new(options.clone()),
            plain: Plain::new(options),
            drf,
            now: Duration::ZERO,
            held: Vec::new(),
        }
    }

    pub(crate) fn call(&mut self, call: &Call) -> Outcome {
        match call {
            Call::AddAgent(id, options, used) => {
                let id = agent_id(*id);
                let used = used_of(&options.total, used);
                let fast = self.fast.add_agent(&id, options.clone(), used.clone());
                let plain = self.plain.add_agent(&id, options.clone(), used.clone());
                same_result(&fast, &plain)?;
                if fast.is_ok() {
                    self.hold(&id, used);
                }
            }
            Call::Provide(id, resources, adds, used) => {
                let id = agent_id(*id);
                let used = used_of(resources, used);
                let none = Resources::default();
                let resources = if *adds { resources } else { &none };
                let fast = self.fast.add_resource_provider(&id, resources, used.clone());
                let plain = self.plain.add_resource_provider(&id, resources, used.clone());
                same_result(&fast, &plain)?;
                if fast.is_ok() {
                    self.hold(&id, used);
                }
            }
            Call::UpdateAgent(id, options) => {
                let id = agent_id(*id);
                let fast = self.fast.update_agent(&id, options.clone());
                same_result(&fast, &self.plain.update_agent(&id, options.clone()))?;
            }
            Call::RemoveAgent(id) => {
                let id = agent_id(*id);
                same_result(&self.fast.remove_agent(&id), &self.plain.remove_agent(&id))?;
                self.held.retain(|held| held.agent != id);
            }
            Call::SetAgentActive(id, active) => {
                let id = agent_id(*id);
                if *active {
                    same_result(&self.fast.activate_agent(&id), &self.plain.activate_agent(&id))?;
                } else {
                    same_result(
                        &self.fast.deactivate_agent(&id),
                        &self.plain.deactivate_agent(&id),
                    )?;
                }
            }
            Call::AddFramework(id, options) => {
                let id = framework_id(*id);
                let fast = self.fast.add_framework(&id, options.clone(), BTreeMap::new());
                same_result(
                    &fast,
                    &self.plain.add_framework(&id, options.clone(), BTreeMap::new()),
                )?;
            }
            Call::UpdateFramework(id, options) => {
                let id = framework_id(*id);
                let fast = self.fast.update_framework(&id, options.clone());
                same_result(&fast, &self.plain.update_framework(&id, options.clone()))?;
            }
            Call::RemoveFramework(id) => {
                let id = framework_id(*id);
                let fast = self.fast.remove_framework(&id);
                same_result(&fast, &self.plain.remove_framework(&id))?;
                if fast.is_ok() {
                    self.held.retain(|held| held.framework != id);
                }
            }
            Call::SetFrameworkActive(id, active) => {
                let id = framework_id(*id);
                let (fast, plain) = if *active {
                    (self.fast.activate_framework(&id), self.plain.activate_framework(&id))
                } else {
                    (self.fast.deactivate_framework(&id), self.plain.deactivate_framework(&id))
                };
                same_result(&fast, &plain)?;
            }
            Call::Suppress(id, roles) => {
                let (id, roles) = (framework_id(*id), named(roles));
                same_result(&self.fast.suppress(&id, &roles), &self.plain.suppress(&id, &roles))?;
            }
            Call::Revive(id, roles) => {
                let (id, roles) = (framework_id(*id), named(roles));
                same_result(&self.fast.revive(&id, &roles), &self.plain.revive(&id, &roles))?;
            }
            Call::Weight(number, weight) => {
                let (role, weight) = (role(*number), f64::from(*weight) / 2.0);
                let fast = self.fast.update_weight(&role, weight);
                same_result(&fast, &self.plain.update_weight(&role, weight))?;
            }
            Call::Quota(number, quota) => {
                let role = role(*number);
                let fast = self.fast.update_quota(&role, quota.clone());
                same_result(&fast, &self.plain.update_quota(&role, quota.clone()))?;
            }
            Call::Whitelist(hosts) => {
                let hosts = hosts
                    .as_ref()
                    .map(|hosts| hosts.iter().map(|host| format!("host{host}")).collect());
                self.fast.update_whitelist(hosts.clone());
                self.plain.update_whitelist(hosts);
            }
            Call::Recover(which, part, refuse) => self.recover(*which, *part, *refuse)?,
            Call::Operate(which, kind) => self.operate(*which, *kind)?,
            Call::Advance(time) => self.now += *time,
            Call::Allocate => {
                let fast = self.fast.allocate(self.now);
                let plain = self.plain.allocate(self.now);
                self.granted(fast, &plain)?;
            }
            Call::AllocateSome(agents) => {
                let agents: Vec<String> = agents.iter().map(|id| agent_id(*id)).collect();
                let fast = self.fast.allocate_agents(self.now, &agents);
                let plain = self.plain.allocate_agents(self.now, &agents);
                self.granted(fast, &plain)?;
            }
            Call::Fill(tasks) => self.fill(tasks)?,
        }
        self.check()
    }

    fn hold(&mut self, agent: &str, used: BTreeMap<String, Resources>) {
        for (framework, resources) in used {
            for (role, resources) in resources.allocations() {
                self.held.push(Held {
                    framework: framework.clone(),
                    role: role.to_string(),
                    agent: agent.to_owned(),
                    resources: resources.unallocated(),
                });
            }
        }
    }

    fn fill(&mut self, tasks: &BTreeMap<u8, (u8, u8)>) -> Outcome {
        let demand = |(framework, (agent, which)): (&u8, &(u8, u8))| {
            let total = self.fast.total(&agent_id(*agent)).ok()?;
            let parts = total.iter().enumerate().filter(|(index, _)| which >> (index % 8) & 1 == 1);
            Some((framework_id(*framework), parts.map(|(_, part)| halved(part)).collect()))
        };
        let demands: BTreeMap<String, Resources> =
            tasks.iter().filter_map(demand).filter(|(id, _)| self.fast.has_framework(id)).collect();
        if demands.values().any(|task| task.iter().all(Resource::is_shared)) {
            let refused = self.fast.fill(&demands);
            let is_right = matches!(refused, Err(Error::Task { .. }));
            return if is_right { Ok(()) } else { Err(format!("{refused:?} is wrong")) };
        }
        let fast = self.fast.fill(&demands).map_err(|error| error.to_string())?;
        let plain = self.plain.fill(&demands);
        self.granted(fast.launches, &plain)
    }

    fn granted(&mut self, fast: Vec<Grant>, plain: &[Grant]) -> Outcome {
        let text = |grants: &[Grant]| -> Vec<String> {
            grants
                .iter()
                .map(|g| format!("{} {} {} {:#}", g.framework, g.role, g.agent, g.resources))
                .collect()
        };
        same(&text(&fast), &text(plain))?;
        self.held.extend(fast.into_iter().map(|grant| Held {
            framework: grant.framework,
            role: grant.role,
            agent: grant.agent,
            resources: grant.resources.unallocated(),
        }));
        Ok(())
    }

    fn recover(&mut self, which: usize, part: u8, refuse: Option<Duration>) -> Outcome {
        if self.held.is_empty() {
            return Ok(());
        }
        let index = which % self.held.len();
        let held = self.held[index].clone();
        let given = match part {
            0 | 1 => held.resources.clone(),
            2 => held.resources.iter().map(halved).collect(),
            _ => held.resources.iter().take(1).cloned().collect(),
        };
        let (framework, role, agent) = (&held.framework, &held.role, &held.agent);
        let fast = self.fast.recover(self.now, framework, role, agent, &given, refuse);
        let plain = self.plain.recover(self.now, framework, role, agent, &given, refuse);
        same_result(&fast, &plain)?;
        if fast.is_ok() {
            self.held[index].resources -= &given;
            if self.held[index].resources.is_empty() {
                self.held.swap_remove(index);
            }
        }
        Ok(())
    }

    fn operate(&mut self, which: usize, kind: u8) -> Outcome {
        if self.held.is_empty() {
            return Ok(());
        }
        let index = which % self.held.len();
        let held = self.held[index].clone();
        let (framework, role, agent) = (&held.framework, &held.role, &held.agent);
        if kind == 5 {
            return self.remove(index, &held);
        }
        let Some(operation) = operation(&held, kind) else { return Ok(()) };
        let fast = self.fast.update_allocation(framework, role, agent, &operation);
        let plain = self.plain.update_allocation(framework, role, agent, &operation);
        same_result(&fast, &plain)?;
        if fast.is_ok() {
            self.held[index].resources = held.resources.apply(&operation).unwrap();
        }
        Ok(())
    }

    /// Removes something that somebody has, or all of it, from the agent.
    fn remove(&mut self, index: usize, held: &Held) -> Outcome {
        let part = match held.resources.len() {
            0 => return Ok(()),
            1 => held.resources.clone(),
            _ => held.resources.iter().take(1).map(halved).collect(),
        };
        let (framework, role, agent) = (&held.framework, &held.role, &held.agent);
        let gone = Conversion::new(part.clone(), Resources::default());
        let fast =
            self.fast.convert_allocation(framework, role, agent, std::slice::from_ref(&gone));
        let plain = self.plain.convert_allocation(framework, role, agent, vec![gone]);
        same_result(&fast, &plain)?;
        if fast.is_ok() {
            self.held[index].resources -= &part;
            if self.held[index].resources.is_empty() {
                self.held.swap_remove(index);
            }
        }
        Ok(())
    }

    /// What everybody has and what is left, is as it should be.
    fn check(&mut self) -> Outcome {
        if self.drf {
            let sorted = |mut shares: Shares| {
                shares.roles.sort_by(|a, b| a.name.cmp(&b.name));
                shares
            };
            same(&sorted(self.fast.shares()), &sorted(self.plain.shares()))?;
            let active = |shares: Shares| -> Vec<(String, Vec<String>)> {
                let served =
                    shares.roles.into_iter().filter(muster_allocator::RoleShare::is_active);
                served
                    .map(|role| {
                        let ids = role.frameworks.into_iter().filter(|framework| framework.active);
                        (role.name, ids.map(|framework| framework.id).collect())
                    })
                    .collect()
            };
            same(&active(self.fast.shares()), &active(self.plain.shares()))?;
        }
        Ok(())
    }
}

/// What frameworks use of a new agent: a half, or a third of something of it.
fn used_of(total: &Resources, used: &[(u8, u8, u8)]) -> BTreeMap<String, Resources> {
    let mut all: BTreeMap<String, Resources> = BTreeMap::new();
    let mut left = total.clone();
    for (framework, number, which) in used {
        let Some(part) = left.iter().nth(usize::from(*which)).map(halved) else { continue };
        let role = match part.reservation_role() {
            Some(role) => role.to_owned(),
            None => role(*number),
        };
        left.subtract(&part);
        let part = Resources::from(part).allocated_to(&role);
        *all.entry(framework_id(*framework)).or_default() += part;
    }
    all
}

/// A part of something that can be cut, or all of it.
fn halved(resource: &Resource) -> Resource {
    match resource.value() {
        Value::Scalar(amount) if resource.is_divisible() && amount.thousandths() > 1 => {
            let half = Scalar::from_thousandths(amount.thousandths() / 2);
            resource.clone().with_value(Value::Scalar(half))
        }
        _ => resource.clone(),
    }
}

fn operation(held: &Held, kind: u8) -> Option<Operation> {
    let free = |resource: &&Resource| resource.is_scalar() && resource.is_plain();
    match kind {
        0 => {
            let plain = held.resources.iter().find(free)?;
            if held.role == "*" {
                return None;
            }
            let reserved =
                halved(plain).with_reservation(Reservation::dynamic(held.role.as_str())).ok()?;
            Some(Operation::Reserve { resources: reserved.into(), source: None })
        }
        1 => {
            let reserved = held
                .resources
                .iter()
                .find(|r| r.is_dynamically_reserved() && r.is_divisible() && !r.is_shared())?;
            Some(Operation::Unreserve(halved(reserved).into()))
        }
        2 | 3 => {
            let is_space = |r: &&Resource| {
                *r.name() == *"disk" && r.details().disk.is_none() && !r.is_revocable()
            };
            let space = halved(held.resources.iter().find(is_space)?);
            Some(Operation::Create(
                space
                    .map_details(|details: &mut Details| {
                        details.disk =
                            Some(Disk { persistence: Some(format!("v{kind}")), ..Disk::default() });
                        details.shared = kind == 3;
                    })
                    .into(),
            ))
        }
        _ => {
            let volume = held.resources.iter().find(|r| r.is_persistent_volume())?;
            let one = volume.map_details(|_| ());
            Some(Operation::Destroy(if volume.copies() == 1 { one.into() } else { return None }))
        }
    }
}
