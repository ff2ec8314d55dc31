//! What containers use, by their checkpoints.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::error::At as _;
use crate::image::uses::Item;
use crate::{Error, id};

/// What one container uses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Using {
    /// Its name.
    pub(super) name: String,
    /// Everything of the store.
    pub(super) items: BTreeSet<Item>,
    /// The layers of each image, the uppermost first.
    pub(super) stacks: Vec<Vec<Item>>,
}

/// What the containers of the agent with this runtime directory use.
///
/// # Errors
/// One that cannot be read may use anything.
pub(super) fn of(runtime_dir: &Path) -> Result<Vec<Using>, Error> {
    let mut found = Vec::new();
    visit(&runtime_dir.join("containers"), None, &mut found)?;
    Ok(found)
}

fn visit(directory: &Path, around: Option<&str>, found: &mut Vec<Using>) -> Result<(), Error> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.at("read", directory)?,
    };
    for entry in entries {
        let entry = entry.at("read", directory)?.file_name();
        let Some(id) = entry.to_str().filter(|id| id::valid(id)) else { continue };
        let name = around.map_or_else(|| id.to_owned(), |around| id::nested(around, id));
        let own = directory.join(id);
        let path = own.join("container.json");
        let text = match fs::read(&path) {
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            text => text.at("read", &path)?,
        };
        let container: Value = serde_json::from_slice(&text)
            .map_err(|error| Error::Checkpoint { path: path.clone(), reason: error.to_string() })?;
        found.push(using(name.clone(), &container));
        visit(&own.join("containers"), Some(&name), found)?;
    }
    Ok(())
}

/// Every path of the store in what was planned, whoever planned it: root filesystem, volumes,
/// and what isolators noted.
fn using(name: String, container: &Value) -> Using {
    let mut using = Using { name, items: BTreeSet::new(), stacks: Vec::new() };
    let subject = &container["subject"];
    for part in [&subject["plan"]["root"], &subject["plan"]["mounts"], &subject["notes"]] {
        using.add(part);
    }
    using
}

impl Using {
    fn add(&mut self, value: &Value) {
        match value {
            Value::Array(values) => {
                let layers = values.iter().filter_map(Value::as_str);
                self.stack(layers.filter_map(Item::containing).collect());
                values.iter().filter(|value| !value.is_string()).for_each(|value| self.add(value));
            }
            Value::Object(fields) => fields.values().for_each(|value| self.add(value)),
            Value::String(text) => self.stack(Item::containing(text).into_iter().collect()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn stack(&mut self, items: Vec<Item>) {
        let layers: Vec<_> =
            items.iter().filter(|item| item.as_layer().is_some()).cloned().collect();
        if !layers.is_empty() {
            self.stacks.push(layers);
        }
        self.items.extend(items);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn layer(name: &str) -> String {
        format!("/images/.layers/sha256/{name}")
    }

    #[test]
    fn roots_volumes_and_notes_of_all_containers() {
        let directory = tempfile::tempdir().unwrap();
        let containers = directory.path().join("containers");
        let nested = containers.join("a/containers/b");
        fs::create_dir_all(&nested).unwrap();
        fs::create_dir_all(containers.join(".old-c")).unwrap();
        let root = json!({"Layers": ["/images/.layers/places/p", layer("2"), layer("1")]});
        let mounts = json!([{"what": {"Host": {"path": layer("3")}}}]);
        let environment = json!([["X", layer("9")]]);
        let plan = json!({"root": root, "mounts": mounts, "process": environment});
        let text = json!({"boot_id": "", "subject": {"plan": plan, "notes": {}}}).to_string();
        fs::write(containers.join("a/container.json"), text).unwrap();
        let notes = json!({"volume/image": [{"layers": [layer("4"), layer("1")]}]});
        let text = json!({"subject": {"notes": notes}}).to_string();
        fs::write(nested.join("container.json"), text).unwrap();
        let found = of(directory.path()).unwrap();
        let names: Vec<&str> = found.iter().map(|using| using.name.as_str()).collect();
        assert_eq!(names, ["a", "a/b"]);
        let item = Item::layer;
        let mut stacks = found[0].stacks.clone();
        stacks.sort();
        assert_eq!(stacks, [vec![item("2"), item("1")], vec![item("3")]]);
        let all = [item("1"), item("2"), item("3"), Item::derived("places", "p")];
        assert_eq!(found[0].items, all.into_iter().collect());
        assert_eq!(found[1].stacks, [[item("4"), item("1")]]);

        fs::write(nested.join("container.json"), "half").unwrap();
        assert!(of(directory.path()).unwrap_err().to_string().contains("a/containers/b"));
        assert_eq!(of(Path::new("/nowhere")).unwrap(), []);
    }
}
