//! Deployments.

use serde_json::{Value, json};

use crate::deployment::{Action, Deployment};
use crate::scheduler::Scheduler;

/// A running deployment. Steps are counted from 1.
pub(crate) fn describe(scheduler: &Scheduler, deployment: &Deployment) -> Value {
    let action = |action: &Action| json!({ "action": action.kind.as_str(), "app": action.app });
    let steps: Vec<_> = deployment
        .steps
        .iter()
        .map(|step| json!({ "actions": step.iter().map(action).collect::<Vec<_>>() }))
        .collect();
    let current = deployment.current_actions().iter().map(|current| {
        let mut value = action(current);
        value["readinessCheckResults"] = scheduler.readiness_results(&current.app);
        value
    });
    json!({
        "id": deployment.id,
        "version": deployment.version.to_string(),
        "affectedApps": deployment.original.keys().collect::<Vec<_>>(),
        "affectedPods": [],
        "steps": steps,
        "currentActions": current.collect::<Vec<_>>(),
        "currentStep": deployment.current + 1,
        "totalSteps": deployment.steps.len(),
    })
}
