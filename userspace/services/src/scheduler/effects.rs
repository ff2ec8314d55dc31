//! What the core asks of its shell.

use std::time::Duration;

use muster_api::mesos::scheduler::Call;
use muster_store::Batch;

use crate::instance::InstanceId;
use crate::reply::Reply;

/// Tells the answers to requests apart.
pub type RequestId = u64;

/// Something to be done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Make these changes durable.
    Store(Batch),
    /// Say this to the master.
    Call(Box<Call>),
    /// Give this answer.
    Reply(RequestId, Reply),
    /// Make a readiness check, and answer with [`Input::Checked`](super::Input::Checked).
    Check(Box<Check>),
}

/// A readiness check to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Of which instance, to be given with the result.
    pub instance: InstanceId,
    /// What to get; over TLS whoever answers.
    pub url: String,
    /// When to give up.
    pub timeout: Duration,
    /// Whether more than the status of the answer is wanted.
    pub whole: bool,
}

/// Outputs being collected. All changes go before all else.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) changes: Batch,
    rest: Vec<Output>,
}

impl Effects {
    pub(super) fn call(&mut self, call: Call) {
        self.rest.push(Output::Call(Box::new(call)));
    }

    pub(super) fn reply(&mut self, id: RequestId, reply: Reply) {
        self.rest.push(Output::Reply(id, reply));
    }

    pub(super) fn check(&mut self, check: Check) {
        self.rest.push(Output::Check(Box::new(check)));
    }

    pub(super) fn take(&mut self) -> Vec<Output> {
        let changes = std::mem::take(&mut self.changes);
        let mut outputs = Vec::new();
        if !changes.is_empty() {
            outputs.push(Output::Store(changes));
        }
        outputs.append(&mut self.rest);
        outputs
    }
}
