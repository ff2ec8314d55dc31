//! Being attached to the terminal of a task.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Context as _;
use muster_api::mesos::agent::Call;
use muster_api::mesos::agent::call::{AttachContainerOutput, Type};

use super::client::Client;
use super::cluster::Cluster;
use super::detach::Detach;
use super::streams::{self, Streams};

/// Shows what the task prints, and if it `types`, gives it what is typed; gives its status, or
/// success to who leaves it.
pub(super) fn run(cluster: &Cluster, task: &str, types: bool) -> anyhow::Result<ExitCode> {
    let task = cluster.task(task)?;
    let (agent, container) = task.place()?;
    let call = Call {
        r#type: Some(Type::AttachContainerOutput.into()),
        attach_container_output: Some(AttachContainerOutput { container_id: container.clone() }),
        ..Call::default()
    };
    let client = Client::of(agent);
    let tty = types && std::io::stdin().is_terminal();
    streams::run(async {
        let output = client.stream(&call).await;
        let output = output.with_context(|| {
            format!("attaching to {}, which needs a task with a terminal", task.id)
        })?;
        let streams = Streams { client: &client, container, types, tty };
        streams.carry(output, Detach::default()).await
    })
}
