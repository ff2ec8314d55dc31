//! Quota as Mesos' messages say it.

use std::collections::{BTreeMap, BTreeSet};

use muster_allocator::Quota;
use muster_api::mesos::quota::{QuotaConfig, QuotaInfo, QuotaRequest};
use muster_api::mesos::{self, value};
use muster_resources::{Limits, Name, Quantities, Resource, Scalar, Value, role};

/// Most memory or disk: 1 EiB, in MiB.
const MOST_BYTES: f64 = 1_099_511_627_776.0;
/// Most of anything else.
const MOST: f64 = 1e12;

/// Reads what a role is promised and may have.
///
/// # Errors
/// The field and what is wrong with it.
pub(crate) fn read(config: &QuotaConfig) -> Result<Quota, String> {
    role::validate(&config.role).map_err(|error| format!("role: {error}"))?;
    let guarantees: Quantities = amounts("guarantees", &config.guarantees)?.collect();
    let mut limits = Limits::default();
    for (name, amount) in amounts("limits", &config.limits)? {
        limits.set(name, amount);
    }
    if let Some((name, limit)) = limits.iter().find(|(name, limit)| guarantees.get(name) > *limit) {
        return Err(format!(
            "guarantees[{:?}]: {} is more than the limit, {limit}; lower it or raise limits[{:?}]",
            name.as_str(),
            guarantees.get(name),
            name.as_str(),
        ));
    }
    Ok(Quota { guarantees, limits })
}

fn amounts<'a>(
    field: &str,
    amounts: &'a BTreeMap<String, value::Scalar>,
) -> Result<impl Iterator<Item = (Name, Scalar)> + use<'a>, String> {
    let read = |(name, amount): (&'a String, &'a value::Scalar)| {
        let wrong = |problem: String| format!("{field}[{name:?}]: {problem}");
        if name.is_empty() {
            return Err(wrong("a resource has a name".to_owned()));
        }
        let (most, unit) = match name.as_str() {
            "mem" | "disk" => (MOST_BYTES, "an exbibyte, in MB"),
            _ => (MOST, "a trillion"),
        };
        let amount = amount.value;
        if amount > most {
            return Err(wrong(format!("{amount} is more than {unit}: {most}")));
        }
        if amount < 0.0 {
            return Err(wrong(format!("{amount} is negative")));
        }
        let scalar = Scalar::from_f64(amount).map_err(|problem| wrong(problem.to_string()))?;
        Ok((Name::from(name.as_str()), scalar))
    };
    Ok(amounts.iter().map(read).collect::<Result<Vec<_>, String>>()?.into_iter())
}

/// Reads the older form, in which what is guaranteed is also the limit; the role and its quota.
///
/// # Errors
/// The field and what is wrong with it.
pub(crate) fn read_request(request: &QuotaRequest) -> Result<(String, Quota), String> {
    let role = request.role.clone().ok_or("role is not set")?;
    role::validate(&role).map_err(|error| format!("role: {error}"))?;
    if request.guarantee.is_empty() {
        return Err("guarantee is empty; remove the quota with DELETE instead".to_owned());
    }
    let mut names = BTreeSet::new();
    let mut guarantees = BTreeMap::new();
    for (index, message) in request.guarantee.iter().enumerate() {
        let wrong = |problem: &str| format!("guarantee[{index}]: {problem}");
        let amount = plain_amount(message).map_err(|problem| wrong(&problem))?;
        if !names.insert(&message.name) {
            return Err(wrong(&format!("{:?} is there twice", message.name)));
        }
        guarantees.insert(message.name.clone(), value::Scalar { value: amount });
    }
    let config = QuotaConfig { role: role.clone(), limits: guarantees.clone(), guarantees };
    let quota = read(&config)?;
    Ok((role, quota))
}

/// The amount of a resource that is nothing but a name and an amount.
fn plain_amount(message: &mesos::Resource) -> Result<f64, String> {
    let resource = Resource::from_proto(message).map_err(|error| error.to_string())?;
    if resource.is_reserved() {
        return Err("quota is not about reservations; leave role and reservations out".to_owned());
    }
    if resource.details().disk.is_some() {
        return Err("quota is not about particular disks; leave disk out".to_owned());
    }
    if resource.is_revocable() {
        return Err("quota is not about revocable resources; leave revocable out".to_owned());
    }
    if !resource.is_plain() || resource.allocation().is_some() {
        return Err("quota is about names and amounts; leave the other fields out".to_owned());
    }
    match resource.value() {
        Value::Scalar(scalar) => Ok(scalar.as_f64()),
        _ => Err(format!("{:?} has no amount; quota is for scalars", message.name)),
    }
}

/// The message of a role's quota.
pub(crate) fn write(role: &str, quota: &Quota) -> QuotaConfig {
    let scalar = |(name, amount): (&Name, Scalar)| {
        (name.as_str().to_owned(), value::Scalar { value: amount.as_f64() })
    };
    QuotaConfig {
        role: role.to_owned(),
        guarantees: quota.guarantees.iter().map(scalar).collect(),
        limits: quota.limits.iter().map(scalar).collect(),
    }
}

/// The older form, which has no limits.
pub(crate) fn write_info(role: &str, quota: &Quota) -> QuotaInfo {
    QuotaInfo {
        role: Some(role.to_owned()),
        principal: None,
        guarantee: scalars(&quota.guarantees),
    }
}

/// Amounts as resources.
pub(crate) fn scalars(quantities: &Quantities) -> Vec<mesos::Resource> {
    let resource = |(name, amount): (&Name, Scalar)| mesos::Resource {
        name: name.as_str().to_owned(),
        r#type: value::Type::Scalar.into(),
        scalar: Some(value::Scalar { value: amount.as_f64() }),
        ..mesos::Resource::default()
    };
    quantities.iter().map(resource).collect()
}
