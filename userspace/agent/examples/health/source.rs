//! The framework that launches the tasks, and the link of the agent that has them: it runs
//! nothing, and says of their health what it is told to.

use std::net::SocketAddr;
use std::time::SystemTime;

use muster_api::mesos::scheduler::{Call, Event, call, event};
use muster_api::mesos::{AgentInfo, FrameworkId, FrameworkInfo, TaskState, TaskStatus};
use muster_api::muster::link_client::LinkClient;
use muster_api::muster::{
    AgentMessage, MasterMessage, Pong, Register, StatusUpdate, agent_message, master_message,
};
use muster_master::{Kernel, Scheduler};
use muster_resources::Resources;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::settings::Settings;
use crate::{Failure, tasks};

/// An agent's end of a link.
pub(crate) struct Source {
    framework: FrameworkId,
    say: mpsc::Sender<AgentMessage>,
}

impl Source {
    /// Registers, launches all tasks, and says that they run and are healthy.
    pub(crate) async fn start(
        kernel: &Kernel,
        master: SocketAddr,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{master}"))?;
        let mut client = LinkClient::new(channel.tcp_nodelay(true).connect().await?);
        let (say, said) = mpsc::channel(1024);
        say.send(message(agent_message::Message::Register(registration()?))).await?;
        let mut heard = client.attach(ReceiverStream::new(said)).await?.into_inner();

        let mut scheduler = subscribe(kernel).await?;
        let offer = loop {
            let event = hear(&mut scheduler).await?;
            if let Some(offer) = event.offers.and_then(|offers| offers.offers.into_iter().next()) {
                break offer;
            }
        };
        let source = Self { framework: offer.framework_id.clone(), say: say.clone() };
        scheduler.calls.send(tasks::launch(&offer, settings)?).await?;
        await_launches(&mut heard, settings.vips * settings.backends).await?;
        tokio::spawn(acknowledge(scheduler, source.framework.clone()));
        tokio::spawn(answer_pings(heard, say));
        for vip in 0..settings.vips {
            for backend in 0..settings.backends {
                source.tell(&tasks::id(vip, backend), true).await?;
            }
        }
        Ok(source)
    }

    /// Says how a task's health is.
    pub(crate) async fn tell(&self, task: &str, healthy: bool) -> Result<(), Failure> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let mut status = TaskStatus {
            task_id: task.into(),
            healthy: Some(healthy),
            timestamp: Some(now.as_secs_f64()),
            uuid: Some(uuid::Uuid::new_v4().as_bytes().to_vec()),
            ..TaskStatus::default()
        };
        status.set_state(TaskState::TaskRunning);
        let update =
            StatusUpdate { framework_id: Some(self.framework.clone()), status: Some(status) };
        Ok(self.say.send(message(agent_message::Message::Update(update))).await?)
    }
}

fn message(message: agent_message::Message) -> AgentMessage {
    AgentMessage { message: Some(message) }
}

fn registration() -> Result<Register, Failure> {
    Ok(Register {
        info: Some(AgentInfo {
            hostname: "source".into(),
            resources: Resources::parse("cpus:10000;mem:1000000")?.to_proto(),
            ..AgentInfo::default()
        }),
        address: "127.0.0.1".into(),
        ..Register::default()
    })
}

async fn subscribe(kernel: &Kernel) -> Result<Scheduler, Failure> {
    let scheduler = kernel.connect().await?;
    let framework_info =
        FrameworkInfo { name: "bench".into(), user: "root".into(), ..FrameworkInfo::default() };
    let mut call = Call {
        subscribe: Some(call::Subscribe { framework_info, ..call::Subscribe::default() }),
        ..Call::default()
    };
    call.set_type(call::Type::Subscribe);
    scheduler.calls.send(call).await?;
    Ok(scheduler)
}

async fn hear(scheduler: &mut Scheduler) -> Result<Event, Failure> {
    scheduler.events.recv().await.ok_or_else(|| "the master has cut the framework off".into())
}

async fn await_launches(
    heard: &mut Streaming<MasterMessage>,
    mut missing: usize,
) -> Result<(), Failure> {
    while missing > 0 {
        let message = heard.message().await?.ok_or("the master closed the link")?;
        if matches!(message.message, Some(master_message::Message::Launch(_))) {
            missing -= 1;
        }
    }
    Ok(())
}

/// As a framework does, until the bench ends.
async fn acknowledge(mut scheduler: Scheduler, framework: FrameworkId) {
    while let Some(event) = scheduler.events.recv().await {
        if event.r#type() != event::Type::Update {
            continue;
        }
        let status = event.update.map(|update| update.status);
        let Some(TaskStatus { task_id, agent_id: Some(agent_id), uuid: Some(uuid), .. }) = status
        else {
            continue;
        };
        let mut call = Call {
            framework_id: Some(framework.clone()),
            acknowledge: Some(call::Acknowledge { agent_id, task_id, uuid }),
            ..Call::default()
        };
        call.set_type(call::Type::Acknowledge);
        if scheduler.calls.send(call).await.is_err() {
            return;
        }
    }
}

/// As an agent does, until the bench ends.
async fn answer_pings(mut heard: Streaming<MasterMessage>, say: mpsc::Sender<AgentMessage>) {
    while let Ok(Some(heard)) = heard.message().await {
        let ping = matches!(heard.message, Some(master_message::Message::Ping(_)));
        if ping && say.send(message(agent_message::Message::Pong(Pong {}))).await.is_err() {
            return;
        }
    }
}
