//! Which images go.

use std::collections::BTreeMap;

use super::inventory::{Inventory, Kept};
use super::listed;
use crate::image::ImageError;
use crate::image::uses::Item;

/// How much is to go.
#[derive(Debug)]
pub(super) enum Policy {
    /// All that can.
    All,
    /// The image that is wanted, by this name, or nothing.
    One(String),
    /// The least recently used, until so many bytes are free.
    Room(u64),
}

/// The images to be removed: of those that `may`, what the policy wants and nobody uses.
pub(super) fn choose<'a>(
    inventory: &'a Inventory,
    may: impl Fn(&Kept) -> bool,
    policy: &Policy,
) -> Result<Vec<&'a Kept>, ImageError> {
    let mut chosen: Vec<&Kept> = inventory.images.iter().filter(|image| may(image)).collect();
    if let Policy::One(name) = policy {
        if chosen.is_empty() {
            return Err(ImageError::Unknown { image: name.clone() });
        }
        if let Some(image) = chosen.iter().find(|image| image.leased) {
            let by = "a container that is being launched".into();
            return Err(ImageError::InUse { image: image.name.clone(), by });
        }
        if let Some(image) = chosen.iter().find(|image| !image.used_by.is_empty()) {
            let by = format!("container {}", listed(&image.used_by));
            return Err(ImageError::InUse { image: image.name.clone(), by });
        }
        return Ok(chosen);
    }
    let pinned = |item: &Item| inventory.pinned.contains(item);
    chosen.retain(|image| {
        image.used_by.is_empty() && !image.leased && !image.record_items.iter().any(pinned)
    });
    let Policy::Room(wanted) = policy else { return Ok(chosen) };
    chosen.sort_by_key(|image| image.last_used);
    let mut users: BTreeMap<&Item, usize> = BTreeMap::new();
    for image in &inventory.images {
        for item in image.items.iter().chain(&image.record_items) {
            *users.entry(item).or_default() += 1;
        }
    }
    let size = |item: &Item| inventory.present.get(item).copied().unwrap_or_default();
    let nobodys = inventory.present.keys().filter(|item| !users.contains_key(item));
    let mut free: u64 = nobodys.filter(|item| !pinned(item)).map(size).sum();
    let enough = chosen.iter().position(|image| {
        if free >= *wanted {
            return true;
        }
        for item in image.items.iter().chain(&image.record_items) {
            let Some(left) = users.get_mut(item) else { continue };
            *left -= 1;
            if *left == 0 && !pinned(item) {
                free += size(item);
            }
        }
        false
    });
    chosen.truncate(enough.unwrap_or(chosen.len()));
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, SystemTime};

    use super::*;

    /// Images by name, seconds of their last use, and layers; each layer has 10 bytes.
    fn inventory(images: &[(&str, u64, &[&str])]) -> Inventory {
        let mut inventory = Inventory {
            images: Vec::new(),
            pinned: BTreeSet::new(),
            present: BTreeMap::new(),
            busy: false,
        };
        for (name, seconds, layers) in images {
            let items: BTreeSet<Item> = layers.iter().map(|layer| Item::layer(layer)).collect();
            inventory.present.extend(items.iter().map(|item| (item.clone(), 10)));
            inventory.images.push(Kept {
                name: (*name).to_owned(),
                digest: None,
                record: None,
                record_items: vec![Item::read(name)],
                items,
                layers: Vec::new(),
                last_used: SystemTime::UNIX_EPOCH + Duration::from_secs(*seconds),
                used_by: BTreeSet::new(),
                leased: false,
            });
        }
        inventory
    }

    fn chosen(inventory: &Inventory, policy: &Policy) -> Vec<String> {
        let may = |image: &Kept| image.name != "excluded";
        let chosen = choose(inventory, may, policy).unwrap();
        chosen.iter().map(|image| image.name.clone()).collect()
    }

    #[test]
    fn the_least_recently_used_go_until_there_is_room() {
        let inventory =
            inventory(&[("new", 3, &["c"]), ("old", 1, &["a", "b"]), ("older", 0, &["d"])]);
        assert_eq!(chosen(&inventory, &Policy::Room(1)), ["older"]);
        assert_eq!(chosen(&inventory, &Policy::Room(11)), ["older", "old"]);
        assert_eq!(chosen(&inventory, &Policy::Room(31)), ["older", "old", "new"]);
        assert_eq!(chosen(&inventory, &Policy::Room(1000)).len(), 3);
        assert_eq!(chosen(&inventory, &Policy::All).len(), 3);
    }

    #[test]
    fn what_others_share_frees_nothing() {
        let inventory = inventory(&[("one", 1, &["base", "a"]), ("two", 2, &["base", "b"])]);
        assert_eq!(chosen(&inventory, &Policy::Room(10)), ["one"]);
        assert_eq!(chosen(&inventory, &Policy::Room(15)), ["one", "two"]);
    }

    #[test]
    fn what_belongs_to_nobody_counts_first() {
        let mut inventory = inventory(&[("one", 1, &["a"])]);
        inventory.present.insert(Item::layer("orphan"), 100);
        assert!(chosen(&inventory, &Policy::Room(100)).is_empty());
        assert_eq!(chosen(&inventory, &Policy::Room(101)), ["one"]);
    }

    #[test]
    fn what_is_used_leased_or_excluded_stays() {
        let mut inventory = inventory(&[
            ("used", 1, &["a"]),
            ("leased", 2, &["b"]),
            ("excluded", 3, &["c"]),
            ("free", 4, &["d"]),
        ]);
        inventory.images[0].used_by = BTreeSet::from(["box".to_owned()]);
        inventory.images[1].leased = true;
        assert_eq!(chosen(&inventory, &Policy::All), ["free"]);
        assert_eq!(chosen(&inventory, &Policy::Room(1000)), ["free"]);
        let remove = |name: &str| {
            let may = |image: &Kept| image.name == name;
            choose(&inventory, may, &Policy::One(name.to_owned())).map(|chosen| chosen.len())
        };
        assert_eq!(
            remove("used").unwrap_err().to_string(),
            "image used is in use by container box; kill that first"
        );
        assert!(remove("leased").unwrap_err().to_string().contains("being launched"));
        assert_eq!(remove("none").unwrap_err().to_string(), "image none: not in the image store");
        assert_eq!(remove("free").unwrap(), 1);
    }
}
