//! Machines that will be down, are down, and are up again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use muster_api::mesos::allocator::{InverseOfferStatus, inverse_offer_status};
use muster_api::mesos::maintenance::cluster_status::DrainingMachine;
use muster_api::mesos::maintenance::{ClusterStatus, Schedule};
use muster_api::mesos::{MachineId, MachineInfo, TimeInfo, Unavailability, machine_info};
use muster_api::muster::Kill;
use muster_api::muster::master_message::Message as ToAgent;

use super::allocation::{agree, unavailability};
use super::change::Refusal;
use super::inverse::{Answer, InverseOffer};
use super::{Master, Task};
use crate::registry::RegistryBatch as _;

/// A machine's name in small letters and its address; one of them may be empty.
type MachineKey = (String, String);

/// Plans for machines, and what frameworks are asked and answer because of them.
#[derive(Debug, Default)]
pub(super) struct Maintenance {
    schedule: Schedule,
    /// The machines of the schedule.
    machines: BTreeMap<MachineKey, Machine>,
    /// Outstanding inverse offers by id.
    pub(super) offers: BTreeMap<String, InverseOffer>,
    /// The last answers, by agent and framework.
    pub(super) answers: BTreeMap<(String, String), Answer>,
}

#[derive(Clone, Debug)]
struct Machine {
    id: MachineId,
    unavailability: Unavailability,
    /// Its agents are gone, and none may come.
    down: bool,
}

impl Machine {
    /// Whether an agent is on it: what is said of the machine is true of the agent.
    fn has(&self, hostname: &str, address: IpAddr) -> bool {
        let (name, ip) = (self.id.hostname(), self.id.ip());
        (name.is_empty() || name.eq_ignore_ascii_case(hostname))
            && (ip.is_empty() || ip.parse() == Ok(address))
    }

    fn info(&self) -> MachineInfo {
        let mode = if self.down { machine_info::Mode::Down } else { machine_info::Mode::Draining };
        MachineInfo {
            id: self.id.clone(),
            mode: Some(mode.into()),
            unavailability: Some(self.unavailability),
        }
    }
}

impl Maintenance {
    /// What an earlier master wrote.
    pub(super) fn restore(schedule: Schedule, machines: Vec<MachineInfo>) -> Self {
        let machine = |info: MachineInfo| {
            let down = info.mode() == machine_info::Mode::Down;
            let unavailability = info.unavailability.unwrap_or_default();
            (key(&info.id), Machine { id: info.id, unavailability, down })
        };
        let machines = machines.into_iter().map(machine).collect();
        Self { schedule, machines, ..Self::default() }
    }

    /// When an agent's machine will be down, if that is known.
    pub(super) fn plan(&self, hostname: &str, address: IpAddr) -> Option<Unavailability> {
        self.machine_of(hostname, address).map(|machine| machine.unavailability)
    }

    /// Whether an agent's machine is down.
    pub(super) fn is_down(&self, hostname: &str, address: IpAddr) -> bool {
        self.machine_of(hostname, address).is_some_and(|machine| machine.down)
    }

    fn machine_of(&self, hostname: &str, address: IpAddr) -> Option<&Machine> {
        self.machines.values().find(|machine| machine.has(hostname, address))
    }
}

impl Master {
    /// When which machines are down.
    pub fn maintenance_schedule(&self) -> &Schedule {
        &self.maintenance.schedule
    }

    /// Which machines are about to be down, with the frameworks' answers, and which are down.
    pub fn maintenance_status(&self) -> ClusterStatus {
        let mut status = ClusterStatus::default();
        for machine in self.maintenance.machines.values() {
            if machine.down {
                status.down_machines.push(machine.id.clone());
            } else {
                let statuses = self.answers(machine);
                status.draining_machines.push(DrainingMachine { id: machine.id.clone(), statuses });
            }
        }
        status
    }

    fn answers(&self, machine: &Machine) -> Vec<InverseOfferStatus> {
        let is_on = |agent: &String| {
            let agent = self.agents.get(agent);
            agent.is_some_and(|agent| machine.has(&agent.info.hostname, agent.address))
        };
        let answers = self.maintenance.answers.iter().filter(|((agent, _), _)| is_on(agent));
        let status = |((_, framework), answer): (&(String, String), &Answer)| {
            let status = if answer.leaves {
                inverse_offer_status::Status::Accept
            } else {
                inverse_offer_status::Status::Decline
            };
            InverseOfferStatus {
                status: status.into(),
                framework_id: framework.as_str().into(),
                timestamp: TimeInfo {
                    nanoseconds: i64::try_from(answer.given.as_nanos()).unwrap_or(i64::MAX),
                },
            }
        };
        answers.map(status).collect()
    }

    pub(super) fn update_schedule(
        &mut self,
        now: Duration,
        schedule: &Schedule,
    ) -> Result<(), Refusal> {
        let mut machines = BTreeMap::new();
        for (number, window) in schedule.windows.iter().enumerate() {
            let wrong = |problem: String| Refusal::Invalid(format!("windows[{number}].{problem}"));
            if window.machine_ids.is_empty() {
                return Err(wrong("machine_ids is empty; name machines or leave it out".into()));
            }
            if window.unavailability.duration.is_some_and(|time| time.nanoseconds < 0) {
                return Err(wrong("unavailability.duration is negative".into()));
            }
            for (place, id) in window.machine_ids.iter().enumerate() {
                let wrong = |problem: &str| wrong(format!("machine_ids[{place}]{problem}"));
                check(id).map_err(|problem| wrong(&problem))?;
                let known = self.maintenance.machines.get(&key(id));
                let machine = Machine {
                    id: id.clone(),
                    unavailability: window.unavailability,
                    down: known.is_some_and(|known| known.down),
                };
                if machines.insert(key(id), machine).is_some() {
                    return Err(wrong(" is in the schedule already; one machine, one window"));
                }
            }
        }
        let old = std::mem::take(&mut self.maintenance.machines);
        if let Some((_, gone)) =
            old.iter().find(|(key, old)| old.down && !machines.contains_key(*key))
        {
            let problem = format!(
                "windows: machine {} is down and cannot be left out; bring it up first",
                name(&gone.id)
            );
            self.maintenance.machines = old;
            return Err(Refusal::Invalid(problem));
        }
        for key in old.keys().filter(|key| !machines.contains_key(*key)) {
            self.step.batch.delete_machine(&key.0, &key.1);
        }
        for (key, machine) in &machines {
            self.step.batch.put_machine(&key.0, &key.1, &machine.info());
        }
        self.step.batch.put_schedule(schedule);
        self.maintenance.machines = machines;
        self.maintenance.schedule = schedule.clone();
        self.replan(now);
        Ok(())
    }

    /// Brings down machines: what runs on them ends, and their agents are no more.
    pub(super) fn start_maintenance(
        &mut self,
        now: Duration,
        ids: &[MachineId],
    ) -> Result<(), Refusal> {
        for key in self.listed(ids, false)? {
            let Some(machine) = self.maintenance.machines.get_mut(&key) else { continue };
            machine.down = true;
            let machine = machine.clone();
            tracing::info!(machine = name(&machine.id), "machine is down");
            self.step.batch.put_machine(&key.0, &key.1, &machine.info());
            let is_on = |agent: &super::Agent| machine.has(&agent.info.hostname, agent.address);
            let agents: Vec<String> = self
                .agents
                .iter()
                .filter(|(_, agent)| is_on(agent))
                .map(|(id, _)| id.clone())
                .collect();
            for id in agents {
                self.end_tasks_on(&id);
                self.remove_agent(now, &id);
            }
        }
        Ok(())
    }

    fn end_tasks_on(&mut self, agent: &str) {
        self.shut_down_executors_on(agent);
        for key in self.tasks_of(agent) {
            if self.tasks.get(&key).is_none_or(Task::is_terminal) {
                continue;
            }
            let kill = Kill {
                framework_id: Some(key.0.as_str().into()),
                task_id: Some(key.1.as_str().into()),
                kill_policy: None,
            };
            self.say_to_agent(agent, ToAgent::Kill(kill));
        }
    }

    /// Takes machines out of the schedule again, so that their agents may come back.
    pub(super) fn stop_maintenance(
        &mut self,
        now: Duration,
        ids: &[MachineId],
    ) -> Result<(), Refusal> {
        let up = self.listed(ids, true)?;
        for key in &up {
            if let Some(machine) = self.maintenance.machines.remove(key) {
                tracing::info!(machine = name(&machine.id), "machine is up");
            }
            self.step.batch.delete_machine(&key.0, &key.1);
        }
        let windows = &mut self.maintenance.schedule.windows;
        for window in &mut *windows {
            window.machine_ids.retain(|id| !up.contains(&key(id)));
        }
        windows.retain(|window| !window.machine_ids.is_empty());
        self.step.batch.put_schedule(&self.maintenance.schedule);
        self.replan(now);
        Ok(())
    }

    /// The machines of a list, which have to be down or not.
    fn listed(&self, ids: &[MachineId], down: bool) -> Result<BTreeSet<MachineKey>, Refusal> {
        if ids.is_empty() {
            return Err(Refusal::Invalid("machines is empty; name some".to_owned()));
        }
        let mut keys = BTreeSet::new();
        for (place, id) in ids.iter().enumerate() {
            let wrong = |problem: &str| Refusal::Invalid(format!("machines[{place}]{problem}"));
            check(id).map_err(|problem| wrong(&problem))?;
            match self.maintenance.machines.get(&key(id)) {
                None => return Err(wrong(" is not in the maintenance schedule; add it first")),
                Some(machine) if machine.down != down => {
                    let is = if down { " is not down" } else { " is down already" };
                    return Err(wrong(is));
                }
                Some(_) => {}
            }
            if !keys.insert(key(id)) {
                return Err(wrong(" is there twice"));
            }
        }
        Ok(keys)
    }

    /// Tells frameworks where the plans for their agents have changed.
    fn replan(&mut self, now: Duration) {
        let plans: Vec<(String, Option<Unavailability>)> = self
            .agents
            .iter()
            .filter_map(|(id, agent)| {
                let plan = self.maintenance.plan(&agent.info.hostname, agent.address);
                (plan != agent.unavailability).then(|| (id.clone(), plan))
            })
            .collect();
        for (id, plan) in plans {
            // Offers say when the agent will be down, so those made before are wrong.
            self.withdraw_agent(now, &id);
            self.maintenance.answers.retain(|(agent, _), _| *agent != id);
            if self.allocator.has_agent(&id) {
                let plan = plan.as_ref().map(unavailability);
                agree(self.allocator.update_unavailability(&id, plan));
            }
            if let Some(agent) = self.agents.get_mut(&id) {
                agent.unavailability = plan;
            }
        }
    }
}

fn key(id: &MachineId) -> MachineKey {
    (id.hostname().to_lowercase(), id.ip().to_owned())
}

fn name(id: &MachineId) -> String {
    format!("{:?} {:?}", id.hostname(), id.ip())
}

fn check(id: &MachineId) -> Result<(), String> {
    if id.hostname().is_empty() && id.ip().is_empty() {
        return Err(" has neither hostname nor ip; set one".to_owned());
    }
    if !id.ip().is_empty() && id.ip().parse::<IpAddr>().is_err() {
        return Err(format!(".ip: {:?} is no IP address", id.ip()));
    }
    Ok(())
}
