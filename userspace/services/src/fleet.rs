//! All instances, by application.

use std::collections::BTreeMap;

use crate::app::AppId;
use crate::instance::{Instance, InstanceId};

/// The instances that have not been seen to end.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    apps: BTreeMap<AppId, BTreeMap<InstanceId, Instance>>,
}

impl Fleet {
    pub(crate) fn insert(&mut self, instance: Instance) {
        let app = self.apps.entry(instance.id.app().clone()).or_default();
        app.insert(instance.id.clone(), instance);
    }

    pub(crate) fn remove(&mut self, id: &InstanceId) -> Option<Instance> {
        let app = self.apps.get_mut(id.app())?;
        let instance = app.remove(id);
        if app.is_empty() {
            self.apps.remove(id.app());
        }
        instance
    }

    pub(crate) fn get(&self, id: &InstanceId) -> Option<&Instance> {
        self.apps.get(id.app())?.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &InstanceId) -> Option<&mut Instance> {
        self.apps.get_mut(id.app())?.get_mut(id)
    }

    /// The instances of one application.
    pub(crate) fn of(&self, app: &AppId) -> impl Iterator<Item = &Instance> {
        self.apps.get(app).into_iter().flat_map(BTreeMap::values)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Instance> {
        self.apps.values().flat_map(BTreeMap::values)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Instance> {
        self.apps.values_mut().flat_map(BTreeMap::values_mut)
    }
}
