//! Deployments: the way from one set of applications to another, step by step.

mod plan;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use plan::{Desired, Plan, plan};

use crate::app::{App, AppId};
use crate::timestamp::Timestamp;

/// What is done to an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionKind {
    /// It comes to exist, with no instances yet.
    StartApplication,
    /// It gets the number of instances it should have.
    ScaleApplication,
    /// Its instances are replaced by newer ones, some at a time.
    RestartApplication,
    /// Its instances end.
    StopApplication,
}

impl ActionKind {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StartApplication => "StartApplication",
            Self::ScaleApplication => "ScaleApplication",
            Self::RestartApplication => "RestartApplication",
            Self::StopApplication => "StopApplication",
        }
    }
}

/// Something done to one application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What is done.
    pub kind: ActionKind,
    /// To which.
    pub app: AppId,
}

/// A running deployment. While it runs, the applications it affects are locked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its id, a UUID.
    pub id: String,
    /// The version of what it deploys.
    pub version: Timestamp,
    /// Groups of actions, one after the other; those of one step run side by side.
    pub steps: Vec<Vec<Action>>,
    /// Index of the step that runs.
    pub current: usize,
    /// The affected applications as they were before, to go back to.
    pub original: BTreeMap<AppId, Option<App>>,
}

impl Deployment {
    /// The actions that run now.
    pub fn current_actions(&self) -> &[Action] {
        self.steps.get(self.current).map_or(&[], Vec::as_slice)
    }

    /// Whether an action on `app` is still to come, in a step after the current one, and
    /// none runs now.
    pub fn is_waiting(&self, app: &AppId) -> bool {
        let later = self.steps.iter().skip(self.current + 1).flatten();
        self.action_on(app).is_none() && later.into_iter().any(|action| action.app == *app)
    }

    /// What is being done to `app` now.
    pub fn action_on(&self, app: &AppId) -> Option<ActionKind> {
        self.current_actions().iter().find(|action| action.app == *app).map(|action| action.kind)
    }
}
