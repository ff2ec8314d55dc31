//! Requests to the API, after HTTP: what is asked for.

use serde_json::Value;

use crate::app::AppId;

/// What to add to an application's description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embed {
    /// Its tasks.
    pub tasks: bool,
    /// How many tasks are in which state.
    pub counts: bool,
    /// The deployments that affect it.
    pub deployments: bool,
    /// Its last failure.
    pub last_task_failure: bool,
    /// Statistics of its tasks by version.
    pub task_stats: bool,
    /// What its readiness checks have found.
    pub readiness: bool,
}

impl Embed {
    /// Adds what `embed=name` asks for, with or without `app.` or `apps.` before it.
    /// Names that are not known are left alone, as by Marathon.
    pub fn add(&mut self, name: &str) {
        let prefixes = ["group.apps.", "apps.", "app."];
        let plain = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
        match plain.unwrap_or(name) {
            "tasks" => {
                self.tasks = true;
                self.deployments = true;
            }
            "count" | "counts" => self.counts = true,
            "deployments" => self.deployments = true,
            "lastTaskFailure" => self.last_task_failure = true,
            "failures" => {
                self.tasks = true;
                self.deployments = true;
                self.last_task_failure = true;
            }
            "taskStats" => self.task_stats = true,
            "readiness" => self.readiness = true,
            _ => {}
        }
    }
}

/// How tasks are to be killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kill {
    /// Whether the application becomes smaller by them.
    pub scale: bool,
    /// Whether a running deployment may be cancelled for that.
    pub force: bool,
}

/// A request. Bodies are JSON that has been parsed but not looked at.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "fields are what /v2 calls them; each variant names its call")]
pub enum Request {
    /// `GET /v2/apps`.
    ListApps { cmd: Option<String>, id: Option<String>, label: Option<String>, embed: Embed },
    /// `GET /v2/apps/{group}/*`.
    ListGroupApps { group: AppId, embed: Embed },
    /// `POST /v2/apps`.
    CreateApp { body: Value, force: bool },
    /// `PUT` and `PATCH /v2/apps`.
    UpdateApps { body: Value, force: bool, partial: bool, create: bool },
    /// `GET /v2/apps/{id}`.
    GetApp { id: AppId, embed: Embed },
    /// `PUT` and `PATCH /v2/apps/{id}`.
    UpdateApp { id: AppId, body: Value, force: bool, partial: bool, create: bool },
    /// `DELETE /v2/apps/{id}`.
    DeleteApp { id: AppId, force: bool },
    /// `POST /v2/apps/{id}/restart`.
    RestartApp { id: AppId, force: bool },
    /// `GET /v2/apps/{id}/versions`.
    ListVersions { id: AppId },
    /// `GET /v2/apps/{id}/versions/{version}`.
    GetVersion { id: AppId, version: String },
    /// `GET /v2/apps/{id}/tasks`.
    ListAppTasks { id: AppId, text: bool },
    /// `DELETE /v2/apps/{id}/tasks`.
    KillAppTasks { id: AppId, host: Option<String>, kill: Kill },
    /// `DELETE /v2/apps/{id}/tasks/{task}`.
    KillAppTask { id: AppId, task: String, kill: Kill },
    /// `GET /v2/tasks`.
    ListTasks { status: Vec<String>, text: bool },
    /// `POST /v2/tasks/delete`.
    KillTasks { body: Value, kill: Kill },
    /// `GET /v2/deployments`.
    ListDeployments,
    /// `DELETE /v2/deployments/{id}`.
    CancelDeployment { id: String, force: bool },
    /// `GET /v2/queue`.
    GetQueue { offers: bool },
    /// `DELETE /v2/queue/{id}/delay`.
    ResetDelay { id: AppId },
    /// `GET /v2/info`.
    GetInfo,
    /// `GET /v2/leader`.
    GetLeader,
}
