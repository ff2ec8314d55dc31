//! The environment that Marathon gives a task.

use std::collections::BTreeMap;

use crate::app::{App, Spec};
use crate::instance::Instance;

/// Labels with longer names or values are not put into the environment.
const MAX_LABEL: usize = 512;

/// The variables of `instance`: who it is, what it has, where it is, its labels; over
/// them its application's own.
pub fn variables(app: &App, instance: &Instance) -> BTreeMap<String, String> {
    let spec = &app.spec;
    let mut env: BTreeMap<String, String> = [
        ("MESOS_TASK_ID", instance.id.task_id()),
        ("MARATHON_APP_ID", app.id.to_string()),
        ("MARATHON_APP_VERSION", app.version.to_string()),
        ("MARATHON_APP_RESOURCE_CPUS", decimal(spec.cpus)),
        ("MARATHON_APP_RESOURCE_MEM", decimal(spec.mem)),
        ("MARATHON_APP_RESOURCE_DISK", decimal(spec.disk)),
        ("MARATHON_APP_RESOURCE_GPUS", "0".into()),
        ("MARATHON_APP_ENFORCE_GROUP_ROLE", "FALSE".into()),
        ("HOST", instance.agent.host.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if let Some(image) = spec.container.as_ref().and_then(|c| c.image.clone()) {
        env.insert("MARATHON_APP_DOCKER_IMAGE".into(), image);
    }
    env.extend(labels(spec));
    env.extend(ports(spec, &instance.host_ports));
    env.extend(spec.env.clone());
    env
}

/// With at least one decimal, as Marathon writes them: `64.0`.
fn decimal(number: f64) -> String {
    format!("{number:?}")
}

fn labels(spec: &Spec) -> BTreeMap<String, String> {
    let short = |(name, value): &(&String, &String)| {
        name.len() < MAX_LABEL && value.len() < MAX_LABEL && !value.contains('\0')
    };
    let mut env = BTreeMap::new();
    let mut names = Vec::new();
    for (name, value) in spec.labels.iter().filter(short) {
        let name = escaped(name);
        env.insert(format!("MARATHON_APP_LABEL_{name}"), value.clone());
        names.push(name);
    }
    env.insert("MARATHON_APP_LABELS".into(), names.join(" "));
    env
}

/// Upper case, with one `_` for each run of other characters.
fn escaped(name: &str) -> String {
    let mut escaped = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            escaped.push(c.to_ascii_uppercase());
        } else if !escaped.ends_with('\u{1}') {
            escaped.push('\u{1}');
        }
    }
    escaped.replace('\u{1}', "_")
}

fn ports(spec: &Spec, numbers: &[u16]) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    // Who has no host port is found at the container's own.
    let definitions = spec.ports.iter().zip(numbers);
    let numbers = definitions.map(|(definition, &number)| match number {
        0 => definition.inside(number),
        number => number,
    });
    let numbers: Vec<u16> = numbers.collect();
    let Some(first) = numbers.first() else { return env };
    env.insert("PORT".into(), first.to_string());
    let texts: Vec<_> = numbers.iter().map(u16::to_string).collect();
    env.insert("PORTS".into(), texts.join(","));
    for (index, (definition, number)) in spec.ports.iter().zip(numbers).enumerate() {
        let declared = definition.mapping.map_or(definition.port, |m| m.container_port);
        let requested = if declared == 0 { number } else { declared };
        env.insert(format!("PORT{index}"), number.to_string());
        env.insert(format!("PORT_{requested}"), number.to_string());
        if let Some(name) = &definition.name {
            env.insert(format!("PORT_{}", name.to_uppercase()), number.to_string());
        }
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_names_are_escaped() {
        assert_eq!(escaped("traefik.http/rule--x_y"), "TRAEFIK_HTTP_RULE_X_Y");
        assert_eq!(escaped("_.é"), "__");
    }
}
