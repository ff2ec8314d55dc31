//! `/v2/apps`: reading, and what needs no definition.

use std::sync::Arc;

use serde_json::{Value, json};

use super::labels::Selectors;
use crate::app::{App, AppId};
use crate::definition::Definition;
use crate::reply::Reply;
use crate::request::Embed;
use crate::scheduler::{Change, Epoch, Scheduler};
use crate::timestamp::Timestamp;
use crate::view;

impl Scheduler {
    pub(super) fn list_apps(
        &self,
        cmd: Option<&str>,
        id: Option<&str>,
        label: Option<&str>,
        embed: Embed,
    ) -> Result<Reply, Reply> {
        let contains = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        let selectors = label.map(Selectors::parse).transpose().map_err(|reason| {
            let label = label.unwrap_or_default();
            Reply::error(422, format!("Can not parse label selector {label}. Reason: {reason}"))
        })?;
        let embed = Embed { counts: true, deployments: true, ..embed };
        let selected = self.apps.values().map(|versions| &versions.current).filter(|app| {
            cmd.is_none_or(|part| app.spec.cmd.as_ref().is_some_and(|cmd| contains(cmd, part)))
                && id.is_none_or(|part| contains(app.id.as_str(), part))
                && selectors.as_ref().is_none_or(|s| s.matches(&app.spec.labels))
        });
        let apps: Value = selected.map(|app| view::app::describe(self, app, embed)).collect();
        Ok(Reply::ok(json!({ "apps": apps })))
    }

    pub(super) fn list_group_apps(&self, group: &AppId, embed: Embed) -> Result<Reply, Reply> {
        let root = AppId::resolve("/");
        let apps: Vec<Value> = self
            .apps
            .iter()
            .filter(|(id, _)| *group == root || id.is_in(group))
            .map(|(_, versions)| view::app::describe(self, &versions.current, everything(embed)))
            .collect();
        if apps.is_empty() && *group != root {
            return Err(Reply::error(404, format!("Group '{group}' does not exist")));
        }
        Ok(Reply::ok(json!({ "*": apps })))
    }

    pub(super) fn get_app(&self, id: &AppId, embed: Embed) -> Result<Reply, Reply> {
        let app = self.app(id)?;
        Ok(Reply::ok(json!({ "app": view::app::describe(self, &app, everything(embed)) })))
    }

    pub(super) fn destroy_app(&mut self, id: &AppId, force: bool) -> Result<Reply, Reply> {
        self.app(id)?;
        self.deployed(vec![Change::Delete(id.clone())], force)
    }

    pub(super) fn restart_app(&mut self, id: &AppId, force: bool) -> Result<Reply, Reply> {
        let app = self.app(id)?;
        self.deployed(vec![Change::Put(as_definition(&app).into(), Epoch::New)], force)
    }

    pub(super) fn list_versions(&self, id: &AppId) -> Result<Reply, Reply> {
        let versions = self.apps.get(id).ok_or_else(|| Reply::unknown_app(id))?;
        let versions: Vec<String> = versions.all.keys().rev().map(Timestamp::to_string).collect();
        Ok(Reply::ok(json!({ "versions": versions })))
    }

    pub(super) fn get_version(&self, id: &AppId, version: &str) -> Result<Reply, Reply> {
        let app = self.app_in_version(id, version)?;
        Ok(Reply::ok(Value::Object(view::app::definition(&app))))
    }

    /// `DELETE /v2/deployments/{id}`: back to what was before it; with `force` no further.
    pub(super) fn revert_deployment(&mut self, id: &str, force: bool) -> Result<Reply, Reply> {
        let Some(deployment) = self.deployments.get(id) else {
            return Err(Reply::error(404, format!("DeploymentPlan {id} does not exist")));
        };
        if force {
            self.cancel_deployment(id);
            return Ok(Reply::empty(202));
        }
        let back = |(id, app): (&AppId, &Option<App>)| match app {
            Some(app) => Change::Put(as_definition(app).into(), Epoch::Of(app.epoch)),
            None => Change::Delete(id.clone()),
        };
        let changes = deployment.original.iter().map(back).collect();
        self.deployed(changes, true)
    }

    /// Deploys `changes` and answers with the deployment.
    pub(super) fn deployed(&mut self, changes: Vec<Change>, force: bool) -> Result<Reply, Reply> {
        let begun = self.deploy(changes, force)?;
        let body = json!({ "version": begun.version.to_string(), "deploymentId": begun.id });
        Ok(Reply::ok(body).with_header("Marathon-Deployment-Id", begun.id))
    }

    pub(super) fn app(&self, id: &AppId) -> Result<Arc<App>, Reply> {
        let versions = self.apps.get(id).ok_or_else(|| Reply::unknown_app(id))?;
        Ok(Arc::clone(&versions.current))
    }

    pub(super) fn app_in_version(&self, id: &AppId, version: &str) -> Result<Arc<App>, Reply> {
        let versions = self.apps.get(id).ok_or_else(|| Reply::unknown_app(id))?;
        let parsed: Timestamp = version.parse().map_err(|_| {
            let error = format!("'{version}' is not a time like 2015-09-25T15:13:48.343Z");
            Reply::invalid_at("/version", error)
        })?;
        versions.all.get(&parsed).cloned().ok_or_else(|| {
            Reply::error(404, format!("App '{id}' does not exist in version {parsed}"))
        })
    }
}

/// What is always shown of a single application.
fn everything(embed: Embed) -> Embed {
    Embed { counts: true, tasks: true, last_task_failure: true, deployments: true, ..embed }
}

/// What would have to be sent to get `app`.
pub(super) fn as_definition(app: &App) -> Definition {
    Definition { id: app.id.clone(), instances: app.instances, spec: app.spec.clone() }
}
