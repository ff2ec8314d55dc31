//! Changing applications: a new version on record, and a deployment that leads to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Scheduler, Versions};
use crate::app::{App, AppId, Network};
use crate::definition::Definition;
use crate::deployment::{Action, ActionKind, Deployment};
use crate::records::Changes as _;
use crate::reply::Reply;
use crate::timestamp::Timestamp;

/// Which epoch a changed application belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Epoch {
    /// The same if nothing but the number of instances has changed, otherwise a new one.
    Auto,
    /// A new one: every instance is to be replaced.
    New,
    /// That of a version gone back to.
    Of(Timestamp),
}

/// A change of one application.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// It should be so.
    Put(Box<Definition>, Epoch),
    /// It should not be.
    Delete(AppId),
}

impl Change {
    fn id(&self) -> &AppId {
        match self {
            Self::Put(definition, _) => &definition.id,
            Self::Delete(id) => id,
        }
    }
}

/// A deployment that was begun.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) id: String,
    pub(crate) version: Timestamp,
}

impl Scheduler {
    /// Makes `changes`, all or none, and begins the deployment that carries them out.
    /// Running deployments of the same applications are in the way unless `force` cancels
    /// them.
    ///
    /// # Errors
    /// The answer that says what is in the way.
    pub(crate) fn deploy(&mut self, changes: Vec<Change>, force: bool) -> Result<Begun, Reply> {
        let version = self.next_version(changes.iter().map(Change::id));
        let mut targets: BTreeMap<AppId, Option<App>> = BTreeMap::new();
        for change in changes {
            match change {
                Change::Delete(id) => {
                    targets.insert(id, None);
                }
                Change::Put(definition, epoch) => {
                    let app = self.next_app(*definition, epoch, version, &targets)?;
                    targets.insert(app.id.clone(), Some(app));
                }
            }
        }
        targets.retain(|id, target| self.differs(id, target.as_ref()));
        self.make_room(&targets, force)?;
        let deployment = self.deployment(version, &targets);
        let begun = Begun { id: deployment.id.clone(), version };
        for (id, target) in targets {
            self.progress.remove(&id);
            self.dirty.insert(id.clone());
            match target {
                Some(app) => self.put_version(app),
                None => self.delete_app(&id),
            }
        }
        if !deployment.steps.is_empty() {
            tracing::info!(deployment = begun.id, %version, "deployment begins");
            self.changes().put_deployment(&deployment);
            self.deployments.insert(deployment.id.clone(), deployment);
        }
        Ok(begun)
    }

    /// A version later than every version of these applications.
    fn next_version<'a>(&self, ids: impl Iterator<Item = &'a AppId>) -> Timestamp {
        let versions = ids.filter_map(|id| self.apps.get(id)?.all.last_key_value());
        let last = versions.map(|(version, _)| version.plus(Duration::from_millis(1))).max();
        last.map_or(self.now, |last| last.max(self.now))
    }

    /// The version of an application that `definition` makes.
    fn next_app(
        &mut self,
        mut definition: Definition,
        epoch: Epoch,
        version: Timestamp,
        others: &BTreeMap<AppId, Option<App>>,
    ) -> Result<App, Reply> {
        let before = self.apps.get(&definition.id).map(|versions| Arc::clone(&versions.current));
        self.choose_service_ports(&mut definition, before.as_deref(), others)?;
        let Definition { id, instances, spec } = definition;
        let Some(before) = before else {
            let epoch = if let Epoch::Of(epoch) = epoch { epoch } else { version };
            return Ok(App {
                id,
                instances,
                spec,
                version,
                last_scaling_at: version,
                last_config_change_at: version,
                epoch,
            });
        };
        let same = spec == before.spec;
        let epoch = match epoch {
            Epoch::Auto if same => before.epoch,
            Epoch::Auto | Epoch::New => version,
            Epoch::Of(epoch) => epoch,
        };
        let unchanged = same && epoch == before.epoch && instances == before.instances;
        Ok(App {
            id,
            instances,
            spec,
            version: if unchanged { before.version } else { version },
            last_scaling_at: if unchanged { before.last_scaling_at } else { version },
            last_config_change_at: if same { before.last_config_change_at } else { version },
            epoch,
        })
    }

    /// Gives a service port, unique in the cluster, to each port that asks for any: the
    /// one it had before, or else the first that is free.
    fn choose_service_ports(
        &self,
        definition: &mut Definition,
        before: Option<&App>,
        others: &BTreeMap<AppId, Option<App>>,
    ) -> Result<(), Reply> {
        let mapped = definition.spec.network != Network::Host;
        let named = definition.spec.require_ports && !mapped;
        if named || definition.spec.ports.iter().all(|p| p.port != 0) {
            return Ok(());
        }
        let range = self.config.service_ports.clone();
        let current = self.apps.iter().filter(|(id, _)| **id != definition.id);
        let current = current.map(|(_, versions)| &*versions.current);
        let taken = current.chain(others.values().flatten()).flat_map(|app| &app.spec.ports);
        let own = definition.spec.ports.iter();
        let mut taken: BTreeSet<u16> = taken.chain(own).map(|port| port.port).collect();
        let had = before.filter(|app| !app.spec.require_ports);
        let had: Vec<u16> = had.iter().flat_map(|app| &app.spec.ports).map(|p| p.port).collect();
        for (index, port) in definition.spec.ports.iter_mut().enumerate() {
            if port.port != 0 {
                continue;
            }
            let same = had.get(index).copied().filter(|port| *port != 0 && !taken.contains(port));
            let Some(free) = same.or_else(|| range.clone().find(|port| !taken.contains(port)))
            else {
                let (first, last) = (range.start(), range.end());
                return Err(Reply::error(
                    422,
                    format!("All ports in the range [{first}-{last}] are already in use"),
                ));
            };
            port.port = free;
            taken.insert(free);
        }
        Ok(())
    }

    fn differs(&self, id: &AppId, target: Option<&App>) -> bool {
        self.apps.get(id).map(|versions| &*versions.current) != target
    }

    /// Cancels the deployments that are in the way, or says that they are.
    fn make_room(
        &mut self,
        targets: &BTreeMap<AppId, Option<App>>,
        force: bool,
    ) -> Result<(), Reply> {
        let in_the_way: Vec<String> = self
            .deployments
            .values()
            .filter(|d| d.original.keys().any(|id| targets.contains_key(id)))
            .map(|d| d.id.clone())
            .collect();
        if !in_the_way.is_empty() && !force {
            return Err(locked(&in_the_way));
        }
        let limit = self.config.max_running_deployments;
        if !targets.is_empty() && self.deployments.len() - in_the_way.len() >= limit {
            return Err(Reply::error(
                403,
                format!(
                    "Max number ({limit}) of running deployments is achieved. Wait for existing deployments to complete or cancel one using force=true parameter."
                ),
            ));
        }
        for id in &in_the_way {
            self.cancel_deployment(id);
        }
        Ok(())
    }

    /// Ends a deployment where it is.
    pub(crate) fn cancel_deployment(&mut self, id: &str) {
        if let Some(deployment) = self.deployments.remove(id) {
            self.changes().delete_deployment(id);
            for app in deployment.original.into_keys() {
                self.progress.remove(&app);
                self.dirty.insert(app);
            }
        }
    }

    /// The steps from what is to `targets`, as Marathon orders them: what goes, then what
    /// comes, then all else side by side.
    fn deployment(
        &mut self,
        version: Timestamp,
        targets: &BTreeMap<AppId, Option<App>>,
    ) -> Deployment {
        let (mut stop, mut start, mut change) = (Vec::new(), Vec::new(), Vec::new());
        let mut original = BTreeMap::new();
        for (id, target) in targets {
            let before = self.apps.get(id).map(|versions| App::clone(&versions.current));
            let action = |kind| Action { kind, app: id.clone() };
            match (&before, target) {
                (_, None) => stop.push(action(ActionKind::StopApplication)),
                (None, Some(_)) => {
                    start.push(action(ActionKind::StartApplication));
                    change.push(action(ActionKind::ScaleApplication));
                }
                (Some(_), Some(app)) => {
                    let outdated = |epoch: Timestamp| epoch != app.epoch;
                    // An upgrade that was cancelled leaves outdated instances behind, which
                    // whatever comes next replaces.
                    let restart = before.iter().any(|before| outdated(before.epoch))
                        || self.fleet.of(id).any(|i| i.is_wanted() && outdated(i.epoch));
                    change.push(action(if restart {
                        ActionKind::RestartApplication
                    } else {
                        ActionKind::ScaleApplication
                    }));
                }
            }
            original.insert(id.clone(), before);
        }
        let steps = [stop, start, change].into_iter().filter(|step| !step.is_empty()).collect();
        Deployment { id: self.ids.uuid().to_string(), version, steps, current: 0, original }
    }

    fn put_version(&mut self, app: App) {
        self.changes().put_app(&app);
        let (id, app) = (app.id.clone(), Arc::new(app));
        let versions = self
            .apps
            .entry(id.clone())
            .or_insert_with(|| Versions { current: Arc::clone(&app), all: BTreeMap::new() });
        if versions.current.epoch != app.epoch {
            self.delays.remove(&id);
        }
        versions.all.insert(app.version, Arc::clone(&app));
        versions.current = app;
        self.prune_versions(&id);
    }

    /// Drops the oldest versions, except those that instances were made from.
    fn prune_versions(&mut self, id: &AppId) {
        let used: BTreeSet<Timestamp> = self.fleet.of(id).map(|i| i.version).collect();
        let Some(versions) = self.apps.get_mut(id) else { return };
        let excess = versions.all.len().saturating_sub(self.config.max_versions.max(1));
        let current = versions.current.version;
        let old = versions.all.keys().filter(|v| **v != current && !used.contains(v));
        let old: Vec<Timestamp> = old.copied().take(excess).collect();
        for version in old {
            versions.all.remove(&version);
            self.effects.changes.delete_version(id, version);
        }
    }

    fn delete_app(&mut self, id: &AppId) {
        let Some(versions) = self.apps.remove(id) else { return };
        for version in versions.all.keys() {
            self.changes().delete_version(id, *version);
        }
        self.changes().delete_app(id);
        self.failures.remove(id);
        self.delays.remove(id);
        self.queue.remove(id);
    }
}

/// 409 in Marathon's words.
fn locked(deployments: &[String]) -> Reply {
    let ids: Vec<_> = deployments.iter().map(|id| json!({ "id": id })).collect();
    Reply::json(
        409,
        json!({
            "message": "App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.",
            "deployments": ids,
        }),
    )
}
