//! What operators change.

use std::time::Duration;

use muster_api::mesos::maintenance::Schedule;
use muster_api::mesos::master::call;
use muster_api::mesos::quota::QuotaRequest;
use muster_api::mesos::{FrameworkId, MachineId, WeightInfo};

use super::{Master, Output};

/// One request of an operator. A number is never used twice.
pub type RequestId = u64;

/// What an operator wants changed. All of it is done, or nothing.
#[derive(Clone, Debug)]
pub enum Change {
    /// Roles count more or less against their siblings.
    Weights(Vec<WeightInfo>),
    /// Roles are promised something, or limited.
    Quota(call::UpdateQuota),
    /// A role without quota gets one; what it is promised is also its limit.
    NewQuota(QuotaRequest),
    /// A role's quota ends.
    NoQuota(String),
    /// A framework ends, with all its tasks.
    Teardown(FrameworkId),
    /// When machines will be down.
    Schedule(Schedule),
    /// Machines of the schedule are down from now on.
    Down(Vec<MachineId>),
    /// Machines are up again.
    Up(Vec<MachineId>),
}

/// Why a change is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request makes no sense, now or ever; the field, and what is wrong with it.
    #[error("{0}")]
    Invalid(String),
    /// It makes sense, but the cluster is in the way.
    #[error("{0}")]
    Conflict(String),
}

impl Master {
    /// Makes a change, and answers once it is written.
    pub(super) fn change(&mut self, now: Duration, request: RequestId, change: Change) {
        let result = match change {
            Change::Weights(weights) => self.update_weights(now, &weights),
            Change::Quota(update) => self.update_quota(now, &update),
            Change::NewQuota(request) => self.set_quota(now, &request),
            Change::NoQuota(role) => self.remove_quota(&role),
            Change::Teardown(framework) => self.end_framework(now, &framework.value),
            Change::Schedule(schedule) => self.update_schedule(now, &schedule),
            Change::Down(machines) => self.start_maintenance(now, &machines),
            Change::Up(machines) => self.stop_maintenance(now, &machines),
        };
        if let Err(refusal) = &result {
            tracing::info!(%refusal, "operator's request refused");
        }
        self.step.outputs.push(Output::Answer(request, result));
    }

    fn end_framework(&mut self, now: Duration, id: &str) -> Result<(), Refusal> {
        match self.frameworks.get(id) {
            None => Err(Refusal::Invalid(format!("framework_id: there is no framework {id:?}"))),
            Some(framework) if framework.completed => {
                Err(Refusal::Invalid(format!("framework_id: framework {id:?} has ended already")))
            }
            Some(_) => {
                tracing::info!(framework = id, "torn down by an operator");
                self.teardown(now, id);
                Ok(())
            }
        }
    }

    /// Refuses roles that `--roles` does not name.
    pub(super) fn check_allowed(&self, role: &str) -> Result<(), String> {
        if self.options.allows_role(role) {
            return Ok(());
        }
        Err(format!("role {role:?} is not one of --roles; add it there, or use one of them"))
    }
}
