//! Tasks: what the master is asked to launch for an instance.

mod container;
mod discovery;
mod environment;
mod health;
mod ports;

use muster_api::mesos::{
    CommandInfo, DurationInfo, Environment, KillPolicy, Label, Labels, Resource, TaskInfo,
    command_info, environment as env,
};

pub use environment::variables;

use crate::app::App;
use crate::instance::Instance;

/// The task of `instance`, an instance of `app`, with `resources` of its agent's offer.
pub fn info(app: &App, instance: &Instance, resources: Vec<Resource>) -> TaskInfo {
    let spec = &app.spec;
    let grace = spec.task_kill_grace_period_seconds.map(|seconds| KillPolicy {
        grace_period: Some(DurationInfo { nanoseconds: i64::from(seconds) * 1_000_000_000 }),
    });
    TaskInfo {
        name: app.id.reversed(),
        task_id: instance.id.task_id().into(),
        agent_id: instance.agent.id.as_str().into(),
        resources: ports::in_order(resources, &instance.host_ports),
        command: Some(command(app, instance)),
        container: container::info(spec, instance),
        health_check: spec
            .health_checks
            .first()
            .map(|check| health::check(check, &spec.ports, instance)),
        kill_policy: grace,
        labels: (!spec.labels.is_empty()).then(|| labels(&spec.labels)),
        discovery: Some(discovery::info(app, instance)),
        ..Default::default()
    }
}

fn command(app: &App, instance: &Instance) -> CommandInfo {
    let spec = &app.spec;
    let variables = variables(app, instance).into_iter().map(|(name, value)| env::Variable {
        name,
        value: Some(value),
        ..Default::default()
    });
    // Without an image there is no entry point that the arguments could be for: the
    // first of them is the program.
    let program = || {
        let runs_image = spec.container.as_ref().is_some_and(|c| c.image.is_some());
        spec.args.first().filter(|_| !runs_image).cloned()
    };
    let uris = spec.fetch.iter().map(|fetch| command_info::Uri {
        value: fetch.uri.clone(),
        executable: Some(fetch.executable),
        extract: Some(fetch.extract),
        cache: Some(fetch.cache),
        output_file: fetch.dest_path.clone(),
    });
    CommandInfo {
        uris: uris.collect(),
        environment: Some(Environment { variables: variables.collect() }),
        shell: Some(spec.cmd.is_some()),
        value: spec.cmd.clone().or_else(program),
        arguments: spec.args.clone(),
        user: spec.user.clone(),
    }
}

/// Labels as the protocol has them.
fn labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Labels {
    let label =
        |(key, value): (&String, &String)| Label { key: key.clone(), value: Some(value.clone()) };
    Labels { labels: labels.into_iter().map(label).collect() }
}
