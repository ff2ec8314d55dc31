//! Values of flags, as Docker's command line reads them.

use bollard::models::{
    DeviceMapping, DeviceRequest, ResourcesBlkioWeightDevice, ResourcesUlimits, ThrottleDevice,
};

type Read<T> = Result<T, String>;

pub(super) fn boolean(value: &str) -> Read<bool> {
    match value {
        "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok(true),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok(false),
        _ => Err("must be true or false".into()),
    }
}

pub(super) fn integer(value: &str) -> Read<i64> {
    value.parse().map_err(|_| "must be a whole number".into())
}

/// `64m`, `1g`, `1024`: units of 1024.
pub(super) fn bytes(value: &str) -> Read<i64> {
    let bad = || "must be a size, like 64m".to_owned();
    let lower = value.to_ascii_lowercase();
    let text = lower.strip_suffix('b').unwrap_or(&lower);
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'k')) => (&text[..at], 10),
        Some((at, 'm')) => (&text[..at], 20),
        Some((at, 'g')) => (&text[..at], 30),
        Some((at, 't')) => (&text[..at], 40),
        _ => (text, 0),
    };
    let number: i64 = digits.parse().map_err(|_| bad())?;
    if number < 0 {
        return Err(bad());
    }
    number.checked_mul(1 << shift).ok_or_else(bad)
}

/// `PATH:WEIGHT`.
pub(super) fn weight(value: &str) -> Read<ResourcesBlkioWeightDevice> {
    let bad = || "must be PATH:WEIGHT, with a weight of 10 to 1000".to_owned();
    let (path, weight) = value.rsplit_once(':').ok_or_else(bad)?;
    let weight = weight.parse().ok().filter(|weight| (10..=1000).contains(weight));
    let path = Some(path.to_owned()).filter(|path| path.starts_with('/'));
    Ok(ResourcesBlkioWeightDevice {
        path: Some(path.ok_or_else(bad)?),
        weight: Some(weight.ok_or_else(bad)?),
    })
}

/// `all`, a number, `device=ID`, or fields that `docker run --gpus` has.
pub(super) fn gpus(value: &str) -> Read<DeviceRequest> {
    let bad = || "must be all, a number, or device=ID".to_owned();
    let mut request = DeviceRequest {
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        ..DeviceRequest::default()
    };
    for field in value.split(',') {
        match field.split_once('=').unwrap_or(("count", field)) {
            ("count", "all") => request.count = Some(-1),
            ("count", number) => {
                let number = number.parse().ok().filter(|&number: &i64| number > 0);
                request.count = Some(number.ok_or_else(bad)?);
            }
            ("device", id) if !id.is_empty() => {
                request.device_ids.get_or_insert_default().push(id.to_owned());
            }
            ("driver", name) if !name.is_empty() => request.driver = Some(name.to_owned()),
            _ => return Err(bad()),
        }
    }
    if request.count.is_some() == request.device_ids.is_some() {
        return Err(bad());
    }
    Ok(request)
}

/// `NAME=VALUE`.
pub(super) fn pair(value: &str) -> Read<(String, String)> {
    let pair = value.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `NAME=SOFT[:HARD]`.
pub(super) fn ulimit(value: &str) -> Read<ResourcesUlimits> {
    let bad = || "must be NAME=SOFT or NAME=SOFT:HARD".to_owned();
    let (name, limits) = pair(value).map_err(|_| bad())?;
    let number = |text: &str| text.parse::<i64>().map_err(|_| bad());
    let (soft, hard) = match limits.split_once(':') {
        Some((soft, hard)) => (number(soft)?, number(hard)?),
        None => (number(&limits)?, number(&limits)?),
    };
    Ok(ResourcesUlimits { name: Some(name), soft: Some(soft), hard: Some(hard) })
}

/// `HOST[:CONTAINER[:PERMISSIONS]]`.
pub(super) fn device(value: &str) -> Read<DeviceMapping> {
    let bad = || "must be PATH[:PATH IN THE CONTAINER[:rwm]]".to_owned();
    let is_access =
        |text: &str| !text.is_empty() && text.bytes().all(|c| matches!(c, b'r' | b'w' | b'm'));
    let parts: Vec<&str> = value.split(':').collect();
    let (host, container, access) = match parts[..] {
        [host] => (host, host, "rwm"),
        [host, access] if is_access(access) => (host, host, access),
        [host, container] => (host, container, "rwm"),
        [host, container, access] if is_access(access) => (host, container, access),
        _ => return Err(bad()),
    };
    if !host.starts_with('/') || !container.starts_with('/') {
        return Err(bad());
    }
    Ok(DeviceMapping {
        path_on_host: Some(host.into()),
        path_in_container: Some(container.into()),
        cgroup_permissions: Some(access.into()),
    })
}

/// `PATH:RATE`, where a rate of bytes may have a unit.
pub(super) fn throttle(value: &str) -> Read<ThrottleDevice> {
    let (path, rate) = value.rsplit_once(':').ok_or("must be PATH:RATE, like /dev/sda:1m")?;
    Ok(ThrottleDevice { path: Some(path.into()), rate: Some(bytes(rate)?) })
}

/// One of `plain`, or the container of somebody else.
pub(super) fn mode(value: &str, plain: &[&str]) -> Read<String> {
    let other = value.strip_prefix("container:").is_some_and(|name| !name.is_empty());
    if plain.contains(&value) || other {
        return Ok(value.to_owned());
    }
    Err(format!("must be one of {}, or container:NAME", plain.join(", ")))
}
