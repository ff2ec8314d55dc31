//! Answering requests.

mod apps;
mod labels;
mod tasks;
mod updates;

use serde_json::{Value, json};

use crate::app::AppId;
use crate::deployment::Deployment;
use crate::reply::Reply;
use crate::request::Request;
use crate::scheduler::Scheduler;
use crate::view;

impl Scheduler {
    /// Answers a request, and begins what it asks for.
    pub(crate) fn serve(&mut self, request: Request) -> Reply {
        self.try_serve(request).unwrap_or_else(|reply| reply)
    }

    fn try_serve(&mut self, request: Request) -> Result<Reply, Reply> {
        match request {
            Request::ListApps { cmd, id, label, embed } => {
                self.list_apps(cmd.as_deref(), id.as_deref(), label.as_deref(), embed)
            }
            Request::ListGroupApps { group, embed } => self.list_group_apps(&group, embed),
            Request::CreateApp { body, force } => self.create_app(&body, force),
            Request::UpdateApps { body, force, partial, create } => {
                self.update_apps(&body, force, partial, create)
            }
            Request::GetApp { id, embed } => self.get_app(&id, embed),
            Request::UpdateApp { id, body, force, partial, create } => {
                self.update_app(&id, &body, force, partial, create)
            }
            Request::DeleteApp { id, force } => self.destroy_app(&id, force),
            Request::RestartApp { id, force } => self.restart_app(&id, force),
            Request::ListVersions { id } => self.list_versions(&id),
            Request::GetVersion { id, version } => self.get_version(&id, &version),
            Request::ListAppTasks { id, text } => self.list_app_tasks(&id, text),
            Request::KillAppTasks { id, host, kill } => {
                self.kill_app_tasks(&id, host.as_deref(), kill)
            }
            Request::KillAppTask { id, task, kill } => self.kill_app_task(&id, &task, kill),
            Request::ListTasks { status, text } => Ok(self.list_tasks(&status, text)),
            Request::KillTasks { body, kill } => self.kill_tasks(&body, kill),
            Request::ListDeployments => Ok(self.list_deployments()),
            Request::CancelDeployment { id, force } => self.revert_deployment(&id, force),
            Request::GetQueue { offers } => Ok(self.get_queue(offers)),
            Request::ResetDelay { id } => self.reset_delay_of(&id),
            Request::GetInfo => Ok(Reply::ok(view::info::describe(self))),
            Request::GetLeader => Ok(Reply::ok(json!({ "leader": self.config.leader() }))),
        }
    }

    fn list_deployments(&self) -> Reply {
        let mut deployments: Vec<&Deployment> = self.deployments.values().collect();
        deployments.sort_by_key(|deployment| deployment.version);
        let describe = |deployment: &Deployment| view::deployment::describe(self, deployment);
        Reply::ok(deployments.into_iter().map(describe).collect())
    }

    fn get_queue(&self, offers: bool) -> Reply {
        let items = self.queue.iter().map(|(id, launch)| {
            view::queue::describe(launch, self.delays.get(id), offers, self.now)
        });
        Reply::ok(json!({ "queue": items.collect::<Vec<Value>>() }))
    }

    fn reset_delay_of(&mut self, id: &AppId) -> Result<Reply, Reply> {
        if !self.queue.contains_key(id) {
            return Err(Reply::error(404, format!("Application {id} not found in tasks queue.")));
        }
        self.reset_delay(id);
        Ok(Reply::empty(204))
    }
}
