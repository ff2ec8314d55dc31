//! Running a command in the container of a task.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::bail;
use muster_api::mesos::agent::Call;
use muster_api::mesos::agent::call::{LaunchNestedContainerSession, Type};
use muster_api::mesos::{CommandInfo, ContainerId, ContainerInfo, TtyInfo, container_info};

use super::client::Client;
use super::cluster::Cluster;
use super::detach::Detach;
use super::streams::{self, Streams};
use super::terminal;

/// Runs `command`; gives its status.
pub(super) fn run(
    cluster: &Cluster,
    task: &str,
    command: &[String],
    interactive: bool,
    tty: bool,
) -> anyhow::Result<ExitCode> {
    if tty && !std::io::stdin().is_terminal() {
        bail!("--tty needs a terminal as standard input: leave it out")
    }
    let task = cluster.task(task)?;
    let (agent, parent) = task.place()?;
    let container_id = ContainerId {
        value: uuid::Uuid::new_v4().to_string(),
        parent: Some(Box::new(parent.clone())),
    };
    let terminal = tty.then(|| ContainerInfo {
        r#type: container_info::Type::Mesos.into(),
        tty_info: Some(TtyInfo { window_size: terminal::size() }),
        ..ContainerInfo::default()
    });
    let session = LaunchNestedContainerSession {
        container_id: container_id.clone(),
        command: Some(CommandInfo {
            shell: Some(false),
            value: command.first().cloned(),
            arguments: command.to_vec(),
            ..CommandInfo::default()
        }),
        container: terminal,
    };
    let call = Call {
        r#type: Some(Type::LaunchNestedContainerSession.into()),
        launch_nested_container_session: Some(session),
        ..Call::default()
    };
    let client = Client::of(agent);
    streams::run(async {
        let output = client.stream(&call).await?;
        let streams =
            Streams { client: &client, container: &container_id, types: interactive, tty };
        streams.carry(output, Detach::never()).await
    })
}
