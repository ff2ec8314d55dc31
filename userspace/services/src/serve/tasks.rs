//! Tasks: listing and killing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::apps::as_definition;
use crate::app::{App, AppId};
use crate::instance::{Condition, Instance, InstanceId, StopReason};
use crate::reader::{Field, Problems};
use crate::reply::Reply;
use crate::request::Kill;
use crate::scheduler::{Change, Epoch, Scheduler};
use crate::view;

impl Scheduler {
    pub(super) fn list_app_tasks(&self, id: &AppId, text: bool) -> Result<Reply, Reply> {
        let app = self.app(id)?;
        let instances: Vec<_> = self.fleet.of(id).collect();
        if text {
            return Ok(Reply::text(view::task::table([(&*app, instances)].into_iter())));
        }
        let tasks: Value = instances.iter().map(|i| view::task::describe(i, &app)).collect();
        Ok(Reply::ok(json!({ "tasks": tasks })))
    }

    pub(super) fn list_tasks(&self, status: &[String], text: bool) -> Reply {
        let selected = |instance: &Instance| {
            let known = status.iter().filter_map(|name| match name.to_lowercase().as_str() {
                "running" => Some(Condition::Running),
                "staging" => Some(Condition::Staging),
                _ => None,
            });
            let known: Vec<Condition> = known.collect();
            known.is_empty() || known.contains(&instance.condition)
        };
        let apps = self.apps.iter().map(|(id, versions)| (id, &*versions.current));
        let apps: Vec<(&App, Vec<&Instance>)> = apps
            .map(|(id, app)| (app, self.fleet.of(id).filter(|i| selected(i)).collect()))
            .collect();
        if text {
            return Reply::text(view::task::table(apps.into_iter()));
        }
        let tasks = apps.iter().flat_map(|(app, instances)| {
            instances.iter().map(|instance| view::task::describe(instance, app))
        });
        Reply::ok(json!({ "tasks": tasks.collect::<Vec<_>>() }))
    }

    pub(super) fn kill_app_tasks(
        &mut self,
        id: &AppId,
        host: Option<&str>,
        kill: Kill,
    ) -> Result<Reply, Reply> {
        self.app(id)?;
        let on_host = |i: &&Instance| host.is_none_or(|host| host == "*" || i.agent.host == host);
        let victims: BTreeSet<InstanceId> =
            self.fleet.of(id).filter(on_host).map(|i| i.id.clone()).collect();
        if kill.scale {
            return self.kill_and_scale(&victims, kill.force, &[id]);
        }
        Ok(Reply::ok(json!({ "tasks": self.kill_instances(&victims) })))
    }

    pub(super) fn kill_app_task(
        &mut self,
        id: &AppId,
        task: &str,
        kill: Kill,
    ) -> Result<Reply, Reply> {
        self.app(id)?;
        let instance = instance_of(task)
            .filter(|instance| instance.app() == id && self.fleet.get(instance).is_some())
            .ok_or_else(|| Reply::error(404, format!("Task '{task}' does not exist")))?;
        let victims = BTreeSet::from([instance]);
        if kill.scale {
            return self.kill_and_scale(&victims, kill.force, &[id]);
        }
        let mut killed = self.kill_instances(&victims);
        Ok(Reply::ok(json!({ "task": killed.pop() })))
    }

    pub(super) fn kill_tasks(&mut self, body: &Value, kill: Kill) -> Result<Reply, Reply> {
        let problems = Problems::default();
        let ids = read_ids(body, &problems);
        let Some(ids) = ids.filter(|_| problems.is_empty()) else {
            return Err(Reply::invalid(problems));
        };
        let mut victims = BTreeSet::new();
        for id in ids {
            let Some(instance) = instance_of(&id) else {
                return Err(Reply::error(400, format!("Invalid task id '{id}'.")));
            };
            if self.fleet.get(&instance).is_some() && self.apps.contains_key(instance.app()) {
                victims.insert(instance);
            }
        }
        if kill.scale {
            let apps: BTreeSet<AppId> = victims.iter().map(|id| id.app().clone()).collect();
            return self.kill_and_scale(&victims, kill.force, &apps.iter().collect::<Vec<_>>());
        }
        Ok(Reply::ok(json!({ "tasks": self.kill_instances(&victims) })))
    }

    /// Kills instances, which are then replaced; describes them as they were.
    fn kill_instances(&mut self, victims: &BTreeSet<InstanceId>) -> Vec<Value> {
        let describe = |id: &InstanceId| {
            let app = &self.apps.get(id.app())?.current;
            Some(view::task::describe(self.fleet.get(id)?, app))
        };
        let described = victims.iter().filter_map(describe).collect();
        for id in victims {
            self.stop(id, StopReason::Requested);
        }
        described
    }

    /// Kills instances and makes their applications that much smaller.
    fn kill_and_scale(
        &mut self,
        victims: &BTreeSet<InstanceId>,
        force: bool,
        apps: &[&AppId],
    ) -> Result<Reply, Reply> {
        let mut killed: BTreeMap<&AppId, u32> = BTreeMap::new();
        for id in victims.iter().filter(|id| self.fleet.get(id).is_some_and(Instance::is_wanted)) {
            *killed.entry(id.app()).or_default() += 1;
        }
        let mut changes = Vec::new();
        for id in apps {
            let mut definition = as_definition(&*self.app(id)?);
            let killed = killed.get(id).copied().unwrap_or(0);
            definition.instances = definition.instances.saturating_sub(killed);
            changes.push(Change::Put(definition.into(), Epoch::Auto));
        }
        let reply = self.deployed(changes, force)?;
        for id in victims {
            self.stop(id, StopReason::Scaling);
        }
        Ok(reply)
    }
}

/// The instance that a task id, or an instance id, names.
fn instance_of(task: &str) -> Option<InstanceId> {
    InstanceId::from_task_id(task).ok().or_else(|| task.parse().ok())
}

/// `{"ids": [<task id>, …]}`.
fn read_ids(body: &Value, problems: &Problems) -> Option<Vec<String>> {
    let mut object = Field::root(body, problems).object()?;
    let Some(field) = object.field("ids") else {
        object.refuse("ids", "is missing: the ids of the tasks");
        return None;
    };
    let ids: Vec<_> = field.array()?.iter().map(|id| id.string().map(str::to_owned)).collect();
    object.finish();
    ids.into_iter().collect()
}
