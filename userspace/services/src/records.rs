//! What is kept in the store: one row per application version, instance and deployment,
//! the last failure of each application, and the framework's id.
//!
//! Values are JSON objects `{"format": 1, …}`. Fields can be added without a new format,
//! as long as leaving them out still means what it meant before.

use std::collections::BTreeMap;

use muster_store::{Batch, Store};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::{App, AppId};
use crate::deployment::Deployment;
use crate::error::Error;
use crate::instance::Instance;
use crate::timestamp::Timestamp;

/// The format of rows that this version writes.
const FORMAT: u64 = 1;

const FRAMEWORK: &str = "services.framework";
const FRAMEWORK_KEY: &str = "id";
const APPS: &str = "services.apps";
const VERSIONS: &str = "services.versions";
const INSTANCES: &str = "services.instances";
const DEPLOYMENTS: &str = "services.deployments";
const FAILURES: &str = "services.failures";

/// How an instance of an application last failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The application.
    pub app_id: AppId,
    /// The host it ran on.
    pub host: String,
    /// What the agent said.
    pub message: String,
    /// The state it ended in, like `TASK_FAILED`.
    pub state: String,
    /// Its task.
    pub task_id: String,
    /// When it was heard of.
    pub timestamp: Timestamp,
    /// The version it was made from.
    pub version: Timestamp,
    /// The agent it ran on.
    pub slave_id: String,
}

#[derive(Serialize, Deserialize)]
struct Framework {
    id: String,
}

#[derive(Serialize, Deserialize)]
struct Pointer {
    version: Timestamp,
}

/// All that the store holds.
#[derive(Debug, Default)]
pub struct Records {
    /// The id that the master gave this framework.
    pub framework_id: Option<String>,
    /// Each application's versions, and which of them is current.
    pub apps: BTreeMap<AppId, (Timestamp, BTreeMap<Timestamp, App>)>,
    /// Every instance that has not been seen to end.
    pub instances: Vec<Instance>,
    /// Every deployment that has not ended.
    pub deployments: Vec<Deployment>,
    /// Each application's last failure.
    pub failures: Vec<Failure>,
}

impl Records {
    /// Reads everything.
    ///
    /// # Errors
    /// When the store cannot be read, or a row is damaged or of a later version.
    pub fn load(store: &dyn Store) -> Result<Self, Error> {
        let mut records = Self::default();
        for (_, framework) in rows::<Framework>(store, FRAMEWORK)? {
            records.framework_id = Some(framework.id);
        }
        for (key, Pointer { version }) in rows(store, APPS)? {
            records.apps.insert(AppId::resolve(&key), (version, BTreeMap::new()));
        }
        for (key, app) in rows::<App>(store, VERSIONS)? {
            let Some((_, versions)) = records.apps.get_mut(&app.id) else {
                return Err(damaged(VERSIONS, &key, "its application is not there"));
            };
            versions.insert(app.version, app);
        }
        for (id, (version, versions)) in &records.apps {
            if !versions.contains_key(version) {
                return Err(damaged(APPS, id.as_str(), "its current version is not there"));
            }
        }
        records.instances = rows(store, INSTANCES)?.into_iter().map(|(_, row)| row).collect();
        records.deployments = rows(store, DEPLOYMENTS)?.into_iter().map(|(_, row)| row).collect();
        records.failures = rows(store, FAILURES)?.into_iter().map(|(_, row)| row).collect();
        Ok(records)
    }
}

/// Changes to the store, by what they mean.
pub(crate) trait Changes {
    fn put_framework(&mut self, id: &str);
    fn put_app(&mut self, app: &App);
    fn delete_version(&mut self, app: &AppId, version: Timestamp);
    fn delete_app(&mut self, app: &AppId);
    fn put_instance(&mut self, instance: &Instance);
    fn delete_instance(&mut self, instance: &Instance);
    fn put_deployment(&mut self, deployment: &Deployment);
    fn delete_deployment(&mut self, id: &str);
    fn put_failure(&mut self, failure: &Failure);
}

impl Changes for Batch {
    fn put_framework(&mut self, id: &str) {
        self.put(FRAMEWORK, FRAMEWORK_KEY, encode(&Framework { id: id.to_owned() }));
    }

    fn put_app(&mut self, app: &App) {
        self.put(VERSIONS, version_key(&app.id, app.version), encode(app));
        self.put(APPS, app.id.as_str(), encode(&Pointer { version: app.version }));
    }

    fn delete_version(&mut self, app: &AppId, version: Timestamp) {
        self.delete(VERSIONS, version_key(app, version));
    }

    fn delete_app(&mut self, app: &AppId) {
        self.delete(APPS, app.as_str());
        self.delete(FAILURES, app.as_str());
    }

    fn put_instance(&mut self, instance: &Instance) {
        self.put(INSTANCES, instance.id.to_string(), encode(instance));
    }

    fn delete_instance(&mut self, instance: &Instance) {
        self.delete(INSTANCES, instance.id.to_string());
    }

    fn put_deployment(&mut self, deployment: &Deployment) {
        self.put(DEPLOYMENTS, deployment.id.as_str(), encode(deployment));
    }

    fn delete_deployment(&mut self, id: &str) {
        self.delete(DEPLOYMENTS, id);
    }

    fn put_failure(&mut self, failure: &Failure) {
        self.put(FAILURES, failure.app_id.as_str(), encode(failure));
    }
}

/// `<app id>@<version>`: ids hold no `@`.
fn version_key(app: &AppId, version: Timestamp) -> String {
    format!("{app}@{version}")
}

fn encode(row: &impl Serialize) -> Vec<u8> {
    // Rows are plain structures of strings and numbers: there is nothing in them that
    // JSON could not hold.
    let mut value = serde_json::to_value(row).unwrap_or_default();
    if let Value::Object(map) = &mut value {
        map.insert("format".into(), FORMAT.into());
    }
    value.to_string().into_bytes()
}

fn rows<T: DeserializeOwned>(
    store: &dyn Store,
    table: &'static str,
) -> Result<Vec<(String, T)>, Error> {
    let rows = store.scan(table)?.into_iter();
    rows.map(|(key, bytes)| {
        let row = decode(table, &key, &bytes)?;
        Ok((key, row))
    })
    .collect()
}

fn decode<T: DeserializeOwned>(table: &'static str, key: &str, bytes: &[u8]) -> Result<T, Error> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|e| damaged(table, key, &e.to_string()))?;
    let Some(found) = value.get("format").and_then(Value::as_u64) else {
        return Err(damaged(table, key, "it has no format number"));
    };
    if found > FORMAT {
        return Err(Error::NewerRow { table, key: key.into(), found, supported: FORMAT });
    }
    serde_json::from_value(value).map_err(|e| damaged(table, key, &e.to_string()))
}

fn damaged(table: &'static str, key: &str, reason: &str) -> Error {
    Error::DamagedRow { table, key: key.into(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use muster_store::Memory;

    use super::*;

    fn load(table: &'static str, key: &str, row: &str) -> Result<Records, Error> {
        let store = Memory::default();
        let mut batch = Batch::default();
        batch.put(table, key, row.as_bytes().to_vec());
        store.commit(batch).unwrap();
        Records::load(&store)
    }

    #[test]
    fn rows_of_a_later_version_and_damaged_rows_are_refused() {
        let newer = load(FRAMEWORK, "id", r#"{"format": 2, "id": "f"}"#).unwrap_err();
        assert!(matches!(newer, Error::NewerRow { found: 2, supported: 1, .. }), "{newer}");
        for (table, row) in [
            (FRAMEWORK, "{"),
            (FRAMEWORK, r#"{"id": "f"}"#),
            (FRAMEWORK, r#"{"format": 1}"#),
            (APPS, r#"{"format": 1, "version": 5}"#),
            (INSTANCES, r#"{"format": 1, "id": "x"}"#),
        ] {
            let error = load(table, "k", row).unwrap_err();
            assert!(matches!(error, Error::DamagedRow { .. }), "{error}");
        }
    }

    #[test]
    fn fields_that_are_not_known_are_left_alone() {
        let records = load(FRAMEWORK, "id", r#"{"format": 1, "id": "f", "later": 1}"#).unwrap();
        assert_eq!(records.framework_id.as_deref(), Some("f"));
    }
}
