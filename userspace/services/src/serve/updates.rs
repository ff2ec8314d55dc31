//! `/v2/apps`: making and changing applications.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::apps::as_definition;
use crate::app::AppId;
use crate::definition::{self, Definition};
use crate::reader::{Field, Problems};
use crate::reply::Reply;
use crate::request::Embed;
use crate::scheduler::{Change, Epoch, Scheduler};
use crate::view;

impl Scheduler {
    pub(super) fn create_app(&mut self, body: &Value, force: bool) -> Result<Reply, Reply> {
        let definition = self.read(body)?;
        let id = definition.id.clone();
        if self.apps.contains_key(&id) {
            let message = format!("An app with id [{id}] already exists.");
            return Err(Reply::error(409, message));
        }
        self.check_group(&id, &BTreeSet::new())?;
        let begun = self.deploy(vec![Change::Put(definition.into(), Epoch::Auto)], force)?;
        let app = self.app(&id)?;
        let embed = Embed { counts: true, ..Embed::default() };
        let mut body = view::app::describe(self, &app, embed);
        body["deployments"] = json!([{ "id": begun.id }]);
        Ok(Reply::json(201, body)
            .with_header("Location", format!("/v2/apps{id}"))
            .with_header("Marathon-Deployment-Id", begun.id))
    }

    pub(super) fn update_app(
        &mut self,
        id: &AppId,
        body: &Value,
        force: bool,
        partial: bool,
        create: bool,
    ) -> Result<Reply, Reply> {
        let exists = self.apps.contains_key(id);
        let change = self.changed(id, body, partial, create, "")?;
        if exists {
            return self.deployed(vec![change], force);
        }
        self.check_group(id, &BTreeSet::new())?;
        let mut reply = self.deployed(vec![change], force)?;
        reply.status = 201;
        Ok(reply.with_header("Location", format!("/v2/apps{id}")))
    }

    pub(super) fn update_apps(
        &mut self,
        body: &Value,
        force: bool,
        partial: bool,
        create: bool,
    ) -> Result<Reply, Reply> {
        let problems = Problems::default();
        let root = Field::root(body, &problems);
        let Some(elements) = root.array() else { return Err(Reply::invalid(problems)) };
        let (mut changes, mut ids) = (Vec::new(), BTreeSet::new());
        for (index, element) in elements.iter().enumerate() {
            let Some(object) = element.value().as_object() else {
                element.object();
                return Err(Reply::invalid(problems));
            };
            let path = format!("({index})");
            let Some(id) = object.get("id").and_then(Value::as_str) else {
                return Err(Reply::invalid_at(&format!("{path}/id"), "must be set"));
            };
            let id = AppId::resolve(id);
            if !ids.insert(id.clone()) {
                return Err(Reply::invalid_at(&format!("{path}/id"), "is there twice"));
            }
            changes.push(self.changed(&id, element.value(), partial, create, &path)?);
        }
        for id in &ids {
            self.check_group(id, &ids)?;
        }
        self.deployed(changes, force)
    }

    /// What `body` makes of the application `id`. `path` is where `body` is in what was
    /// sent.
    fn changed(
        &self,
        id: &AppId,
        body: &Value,
        partial: bool,
        create: bool,
        path: &str,
    ) -> Result<Change, Reply> {
        let Some(update) = body.as_object() else {
            let problems = Problems::default();
            Field::at(body, path.into(), &problems).object();
            return Err(Reply::invalid(problems));
        };
        if let Some(given) = update.get("id").filter(|given| !given.is_null())
            && given.as_str().map(AppId::resolve).as_ref() != Some(id)
        {
            let error = format!("must be \"{id}\", or left out: no application can be renamed");
            return Err(Reply::invalid_at(&format!("{path}/id"), error));
        }
        let current = self.app(id);
        if !create {
            current.clone()?;
        }
        let is_set = |name: &str| update.get(name).is_some_and(|value| !value.is_null());
        if let (Ok(_), true, true) = (&current, partial, is_set("version")) {
            return self.rolled_back(id, update, path);
        }
        let mut whole = match &current {
            Ok(app) if partial => definition::merge(view::app::definition(app), update),
            _ => update.clone(),
        };
        whole.insert("id".into(), id.as_str().into());
        let definition = definition::read_at(&Value::Object(whole), path, &self.config.role);
        Ok(Change::Put(definition.map_err(Reply::invalid)?.into(), Epoch::Auto))
    }

    /// `{"version": …}`: what the application was in that version.
    fn rolled_back(
        &self,
        id: &AppId,
        update: &Map<String, Value>,
        path: &str,
    ) -> Result<Change, Reply> {
        let others = update.iter().filter(|(name, value)| {
            !["id", "version"].contains(&name.as_str()) && !value.is_null()
        });
        if others.count() > 0 {
            return Err(Reply::invalid_at(
                &format!("{path}/version"),
                "The 'version' field may only be combined with the 'id' field.",
            ));
        }
        let Some(version) = update.get("version").and_then(Value::as_str) else {
            return Err(Reply::invalid_at(&format!("{path}/version"), "must be a string"));
        };
        let app = self.app_in_version(id, version)?;
        Ok(Change::Put(as_definition(&app).into(), Epoch::Of(app.epoch)))
    }

    fn read(&self, body: &Value) -> Result<Definition, Reply> {
        definition::read(body, &self.config.role).map_err(Reply::invalid)
    }

    /// Refuses an application with the id of a group, and one inside of an application.
    fn check_group(&self, id: &AppId, others: &BTreeSet<AppId>) -> Result<(), Reply> {
        let clash = |other: &AppId| id.is_in(other) || other.is_in(id);
        match self.apps.keys().chain(others).find(|other| clash(other)) {
            None => Ok(()),
            Some(other) => {
                let error = format!(
                    "Groups and Applications may not have the same identifier: {other} is an application."
                );
                Err(Reply::invalid_at("/id", error))
            }
        }
    }
}
