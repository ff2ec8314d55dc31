//! Backoff, upgrades, unreachable agents, scaling down.

use crate::app::{Backoff, KillSelection, Spec, UnreachableStrategy, UpgradeStrategy};
use crate::reader::Object;

/// `backoffSeconds`, `backoffFactor`, `maxLaunchDelaySeconds`.
pub(super) fn backoff(object: &mut Object<'_>) -> Option<Backoff> {
    let default = Backoff::default();
    let max = i32::MAX.unsigned_abs();
    let seconds = object.field("backoffSeconds");
    let seconds = seconds.map_or(Some(default.seconds), |field| field.integer(0, max));
    let factor = object.field("backoffFactor");
    let factor = factor.map_or(Some(default.factor), |field| field.number(1.0, f64::MAX));
    let most = object.field("maxLaunchDelaySeconds");
    let most = most.map_or(Some(default.max_seconds), |field| field.integer(0, max));
    Some(Backoff { seconds: seconds?, factor: factor?, max_seconds: most? })
}

/// `upgradeStrategy`.
pub(super) fn upgrade(object: &mut Object<'_>) -> Option<UpgradeStrategy> {
    let default = UpgradeStrategy::default();
    let Some(field) = object.field("upgradeStrategy") else { return Some(default) };
    let mut strategy = field.object()?;
    let mut share =
        |name, default| strategy.field(name).map_or(Some(default), |field| field.number(0.0, 1.0));
    let minimum = share("minimumHealthCapacity", default.minimum_health_capacity);
    let maximum = share("maximumOverCapacity", default.maximum_over_capacity);
    strategy.finish();
    Some(UpgradeStrategy { minimum_health_capacity: minimum?, maximum_over_capacity: maximum? })
}

/// `unreachableStrategy`.
pub(super) fn unreachable(object: &mut Object<'_>) -> Option<UnreachableStrategy> {
    let Some(field) = object.field("unreachableStrategy") else {
        return Some(UnreachableStrategy::default());
    };
    if let Some(text) = field.value().as_str() {
        if text == "disabled" {
            return Some(UnreachableStrategy::Disabled);
        }
        field.refuse("must be \"disabled\" or an object");
        return None;
    }
    let mut strategy = field.object()?;
    let mut seconds = |name| {
        strategy.field(name).map_or(Some(0), |field| field.integer(0, u32::MAX)).map(u64::from)
    };
    let inactive = seconds("inactiveAfterSeconds");
    let expunge = seconds("expungeAfterSeconds");
    let (inactive_after_seconds, expunge_after_seconds) = inactive.zip(expunge)?;
    if inactive_after_seconds > expunge_after_seconds {
        strategy.refuse(
            "inactiveAfterSeconds",
            "must be less than or equal to expungeAfterSeconds, which is 0 when not given",
        );
    }
    strategy.finish();
    Some(UnreachableStrategy::Enabled { inactive_after_seconds, expunge_after_seconds })
}

/// `killSelection`.
pub(super) fn kill_selection(object: &mut Object<'_>) -> Option<KillSelection> {
    let Some(field) = object.field("killSelection") else { return Some(KillSelection::default()) };
    match field.string()? {
        "YOUNGEST_FIRST" => Some(KillSelection::YoungestFirst),
        "OLDEST_FIRST" => Some(KillSelection::OldestFirst),
        _ => {
            field.refuse("must be YOUNGEST_FIRST or OLDEST_FIRST");
            None
        }
    }
}

/// What the label `MARATHON_SINGLE_INSTANCE_APP` asks for.
pub(super) fn check_single_instance(object: &Object<'_>, spec: &Spec, instances: u32) {
    if spec.labels.get("MARATHON_SINGLE_INSTANCE_APP").map(String::as_str) != Some("true") {
        return;
    }
    if instances > 1 {
        object.refuse("instances", "Single instance app may only have one instance");
    }
    for (name, share) in [
        ("minimumHealthCapacity", spec.upgrade_strategy.minimum_health_capacity),
        ("maximumOverCapacity", spec.upgrade_strategy.maximum_over_capacity),
    ] {
        if share != 0.0 {
            object
                .refuse(&format!("upgradeStrategy/{name}"), "must be 0 for a single instance app");
        }
    }
}
