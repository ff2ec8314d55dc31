//! Bringing what is to what should be.

use std::sync::Arc;

use super::{Scheduler, Timer};
use crate::app::{App, AppId, UpgradeStrategy};
use crate::deployment::{ActionKind, Desired, plan};
use crate::instance::{InstanceId, StopReason};
use crate::records::Changes as _;

/// What an application should be right now, which a deployment decides while one runs.
struct Target {
    /// What instances are made from; `None` when it should have none for good.
    app: Option<Arc<App>>,
    count: u32,
    replace: Option<UpgradeStrategy>,
}

impl Scheduler {
    /// Plans every application that something has changed for, and takes deployments to
    /// their next step, until nothing more follows.
    pub(super) fn settle(&mut self) {
        loop {
            while let Some(id) = self.dirty.pop_first() {
                self.settle_app(&id);
            }
            if !self.advance_deployments() {
                break;
            }
        }
    }

    fn settle_app(&mut self, id: &AppId) {
        let target = self.target(id);
        let strategy = target.app.as_ref().map(|app| app.spec.unreachable_strategy);
        self.look_after_unreachable(id);
        let now = self.now;
        let desired = Desired {
            count: target.count,
            epoch: target.app.as_ref().map(|app| app.epoch).unwrap_or_default(),
            replace: target.replace,
            selection: target.app.as_ref().map(|a| a.spec.kill_selection).unwrap_or_default(),
            constraints: target.app.as_ref().map_or(&[], |app| &app.spec.constraints),
        };
        let instances: Vec<_> = self.fleet.of(id).collect();
        let plan = plan(&desired, &instances, |instance| {
            let deadlines = strategy.and_then(|s| instance.unreachable_deadlines(s));
            deadlines.is_some_and(|(inactive, _)| inactive <= now)
        });
        let reason = match (&target.app, target.replace) {
            (None, _) => StopReason::Deleted,
            (Some(_), Some(_)) => StopReason::Upgrading,
            (Some(_), None) => StopReason::Scaling,
        };
        for instance in &plan.stop {
            self.stop(instance, reason);
        }
        self.demand(id, target.app.as_ref(), plan.launch);
        self.progress.insert(id.clone(), plan.done);
    }

    /// What `id` should be now.
    fn target(&self, id: &AppId) -> Target {
        let current = self.apps.get(id).map(|versions| Arc::clone(&versions.current));
        let as_is = |app: Option<Arc<App>>| {
            let count = app.as_ref().map_or(0, |app| app.instances);
            Target { app, count, replace: None }
        };
        let Some(deployment) = self.deployments.values().find(|d| d.original.contains_key(id))
        else {
            return as_is(current);
        };
        match deployment.action_on(id) {
            Some(ActionKind::StartApplication) => Target { app: current, count: 0, replace: None },
            Some(ActionKind::StopApplication) => Target { app: None, count: 0, replace: None },
            Some(ActionKind::RestartApplication) => {
                let replace = current.as_ref().map(|app| app.spec.upgrade_strategy);
                Target { replace, ..as_is(current) }
            }
            None if deployment.is_waiting(id) => {
                let original = deployment.original.get(id).and_then(Option::as_ref);
                as_is(original.map(|app| Arc::new(app.clone())))
            }
            Some(ActionKind::ScaleApplication) | None => as_is(current),
        }
    }

    /// Gives up the instances of `id` that have been unreachable for too long, and comes
    /// back when the next one will have been.
    fn look_after_unreachable(&mut self, id: &AppId) {
        let Some(versions) = self.apps.get(id) else { return };
        let strategy = versions.current.spec.unreachable_strategy;
        let now = self.now;
        let mut overdue: Vec<InstanceId> = Vec::new();
        let mut next = None;
        for instance in self.fleet.of(id) {
            let Some((inactive, expunge)) = instance.unreachable_deadlines(strategy) else {
                continue;
            };
            if expunge <= now {
                overdue.push(instance.id.clone());
            } else {
                let deadline = if inactive > now { inactive } else { expunge };
                next = Some(next.map_or(deadline, |next| deadline.min(next)));
            }
        }
        for id in &overdue {
            self.expunge(id);
        }
        if let Some(at) = next {
            self.timers.set(at, Timer::Plan(id.clone()));
        }
    }

    /// Takes every deployment whose step is done to the next, or to its end. Whether
    /// there was one.
    fn advance_deployments(&mut self) -> bool {
        let is_done = |app: &AppId| self.progress.get(app) == Some(&true);
        let ready: Vec<String> = self
            .deployments
            .values()
            .filter(|d| d.current_actions().iter().all(|action| is_done(&action.app)))
            .map(|d| d.id.clone())
            .collect();
        for id in &ready {
            let Some(deployment) = self.deployments.get_mut(id) else { continue };
            deployment.current += 1;
            let deployment = deployment.clone();
            for app in deployment.original.keys() {
                self.progress.remove(app);
                self.dirty.insert(app.clone());
            }
            if deployment.current < deployment.steps.len() {
                self.changes().put_deployment(&deployment);
            } else {
                tracing::info!(deployment = id, "deployment is done");
                self.changes().delete_deployment(id);
                self.deployments.remove(id);
            }
        }
        !ready.is_empty()
    }
}
