//! Tasks of `busybox`, with the limits that `launch_cost` gives its containers.

use muster_api::TaskStateExt as _;
use muster_api::mesos::{
    CommandInfo, ContainerInfo, Image, TaskInfo, TaskState, TaskStatus, container_info, image,
};
use muster_resources::Resources;

use crate::Failure;
use crate::agent::Agent;
use crate::master::{AGENT, Link};
use crate::memory::{self, Memory};
use crate::requests::{Cost, Watch};

/// So many are launched at a time of those that are held.
const WIDTH: usize = 8;

/// The tasks of one agent.
pub(crate) struct Tasks {
    agent: Agent,
    link: Link,
    next: u64,
}

impl Tasks {
    pub(crate) fn new(agent: Agent, link: Link) -> Self {
        Self { agent, link, next: 0 }
    }

    /// What the agent has logged.
    pub(crate) fn log(&self) -> String {
        self.agent.log()
    }

    /// Runs `number` tasks to their end, `width` at a time: wall clock and processor time.
    pub(crate) async fn run(&mut self, number: u64, width: usize) -> Result<Vec<u128>, Failure> {
        let processor = self.agent.processor()?;
        let watch = Watch::start()?;
        let (mut left, mut running) = (number, 0);
        while left > 0 || running > 0 {
            while left > 0 && running < width {
                self.launch(&["/bin/true"])?;
                (left, running) = (left - 1, running + 1);
            }
            match self.link.update().await? {
                status if status.state() == TaskState::TaskFinished => running -= 1,
                status => going(&status)?,
            }
        }
        self.link.settle().await?;
        self.agent.idle().await?;
        let wall = watch.stop()?.wall;
        let processor = self.agent.processor()?.saturating_sub(processor);
        Ok(Cost { wall, processor }.numbers())
    }

    /// Bytes of the agent that each of `number` running tasks adds; and the private and the
    /// proportional bytes of its helper.
    pub(crate) async fn hold(&mut self, number: u64) -> Result<Vec<u128>, Failure> {
        let before = self.agent.memory()?;
        let mut ids = Vec::new();
        let mut helpers = Vec::new();
        while (helpers.len() as u64) < number {
            while (ids.len() as u64) < number && ids.len() - helpers.len() < WIDTH {
                ids.push(self.launch(&["/bin/sleep", "100000"])?);
            }
            let status = self.link.update().await?;
            going(&status)?;
            if status.state() == TaskState::TaskRunning {
                let pid = status.container_status.and_then(|container| container.executor_pid);
                helpers.push(memory::parent(pid.ok_or("a running task without a pid")?)?);
            }
        }
        self.link.settle().await?;
        let after = self.agent.memory()?;
        let mut sum = Memory::default();
        for helper in &helpers {
            sum += memory::of(&helper.to_string())?;
        }
        for id in &ids {
            self.link.kill(id)?;
        }
        let mut ended = 0;
        while ended < ids.len() {
            ended += usize::from(self.link.update().await?.state().is_terminal());
        }
        self.link.settle().await?;
        self.agent.idle().await?;
        let own = after.private.saturating_sub(before.private) / number;
        let numbers = [own, sum.private / number, sum.proportional / number];
        Ok(numbers.map(u128::from).to_vec())
    }

    fn launch(&mut self, argv: &[&str]) -> Result<String, Failure> {
        let id = self.next.to_string();
        self.next += 1;
        self.link.launch(task(&id, argv)?)?;
        Ok(id)
    }
}

/// Fails if the task has ended.
fn going(status: &TaskStatus) -> Result<(), Failure> {
    if status.state().is_terminal() {
        return Err(format!("{:?}: {}", status.state(), status.message()).into());
    }
    Ok(())
}

fn task(id: &str, argv: &[&str]) -> Result<TaskInfo, Failure> {
    let docker = image::Docker { name: "busybox".into(), ..image::Docker::default() };
    let r#type = image::Type::Docker.into();
    let image = Image { r#type, docker: Some(docker), ..Image::default() };
    let container = ContainerInfo {
        r#type: container_info::Type::Mesos.into(),
        mesos: Some(container_info::MesosInfo { image: Some(image) }),
        ..ContainerInfo::default()
    };
    let command = CommandInfo {
        shell: Some(false),
        value: argv.first().map(|program| (*program).to_owned()),
        arguments: argv.iter().map(|argument| (*argument).to_owned()).collect(),
        ..CommandInfo::default()
    };
    Ok(TaskInfo {
        name: "launch".into(),
        task_id: id.into(),
        agent_id: AGENT.into(),
        resources: Resources::parse("cpus:1;mem:64")?.to_proto(),
        command: Some(command),
        container: Some(container),
        ..TaskInfo::default()
    })
}
