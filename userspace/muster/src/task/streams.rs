//! Carrying what is typed to a container, and what it prints to here.

use std::future::pending;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use muster_api::mesos::agent::call::{
    AttachContainerInput, Type, WaitContainer, attach_container_input,
};
use muster_api::mesos::agent::process_io::{self, Control, Data, control, data};
use muster_api::mesos::agent::{Call, ProcessIo, response};
use muster_api::mesos::{ContainerId, DurationInfo, TtyInfo};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::client::{Client, Records, Sender};
use super::detach::Detach;
use super::terminal::{self, Raw};

/// How much is read of standard input at a time.
const PIECE: usize = 16 << 10;
/// Pieces of it that may wait.
const BACKLOG: usize = 4;
/// How often the agent hears that somebody is there.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// A container, and how to be connected to it.
pub(super) struct Streams<'a> {
    pub(super) client: &'a Client,
    pub(super) container: &'a ContainerId,
    /// Whether it is given standard input.
    pub(super) types: bool,
    /// Whether it is on a terminal that is to be as this one.
    pub(super) tty: bool,
}

/// Runs `work`, and leaves what else is going on as it is: a read of a terminal has no end.
pub(super) fn run(
    work: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

impl Streams<'_> {
    /// Carries on until the container has ended, or the keys were typed; gives its status.
    pub(super) async fn carry(
        &self,
        mut output: Records,
        mut detach: Detach,
    ) -> anyhow::Result<ExitCode> {
        // It is asked for now: of a task it is known only as long as that runs.
        let call = wait(self.container);
        let mut ended = std::pin::pin!(self.client.call(&call));
        let mut status = None;
        let mut input = if self.types || self.tty { Some(self.begin()?) } else { None };
        let _raw = (self.tty && self.types).then(Raw::make).transpose().context("the terminal")?;
        let mut typed = if self.types { Some(keyboard()) } else { None };
        let mut resized = signal(SignalKind::window_change())?;
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        loop {
            tokio::select! {
                biased;
                message = output.next() => match message? {
                    Some(message) => print(&message)?,
                    None => break,
                },
                answer = &mut ended, if status.is_none() => status = Some(answer),
                taken = taken(input.as_mut()) => {
                    taken.context("the input")?;
                    // The container needs no more.
                    (input, typed) = (None, None);
                }
                piece = next(typed.as_mut()) => {
                    let Some((sender, _)) = &input else { continue };
                    let Some(piece) = piece else {
                        typed = None;
                        sender.send(&stdin(Vec::new()))?;
                        continue;
                    };
                    let (piece, left) = detach.pass(&piece?);
                    if !piece.is_empty() {
                        sender.send(&stdin(piece))?;
                    }
                    if left {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                _ = resized.recv(), if self.tty => {
                    if let Some((sender, _)) = &input {
                        sender.send(&size())?;
                    }
                }
                _ = heartbeat.tick() => {
                    if let Some((sender, _)) = &input {
                        sender.send(&beat())?;
                    }
                }
            }
        }
        let told = match status {
            Some(told) => told,
            None => ended.await,
        };
        code(told?.wait_container)
    }

    /// Begins to be the container's input.
    fn begin(&self) -> anyhow::Result<(Sender, tokio::task::JoinHandle<anyhow::Result<()>>)> {
        let (sender, taken) = self.client.send()?;
        sender.send(&call(AttachContainerInput {
            r#type: Some(attach_container_input::Type::ContainerId.into()),
            container_id: Some(self.container.clone()),
            process_io: None,
        }))?;
        if self.tty {
            sender.send(&size())?;
        }
        Ok((sender, tokio::spawn(taken)))
    }
}

/// What comes of the input; nothing if there is none.
async fn taken<S>(
    input: Option<&mut (S, tokio::task::JoinHandle<anyhow::Result<()>>)>,
) -> anyhow::Result<()> {
    match input {
        Some((_, taken)) => taken.await?,
        None => pending().await,
    }
}

async fn next(
    typed: Option<&mut mpsc::Receiver<io::Result<Vec<u8>>>>,
) -> Option<io::Result<Vec<u8>>> {
    match typed {
        Some(typed) => typed.recv().await,
        None => pending().await,
    }
}

/// Reads standard input, in a thread of its own.
fn keyboard() -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut piece = vec![0; PIECE];
            let read = input.read(&mut piece).map(|length| {
                piece.truncate(length);
                piece
            });
            let last = !matches!(&read, Ok(piece) if !piece.is_empty());
            if matches!(&read, Ok(piece) if piece.is_empty())
                || sender.blocking_send(read).is_err()
                || last
            {
                return;
            }
        }
    });
    receiver
}

fn print(message: &ProcessIo) -> io::Result<()> {
    let Some(data) = &message.data else { return Ok(()) };
    let bytes = data.data.as_deref().unwrap_or_default();
    if data.r#type() == data::Type::Stderr {
        io::stderr().write_all(bytes)
    } else {
        let mut output = io::stdout().lock();
        output.write_all(bytes)?;
        output.flush()
    }
}

/// The exit code for how the container ended, as a shell has it.
fn code(ended: Option<response::WaitContainer>) -> anyhow::Result<ExitCode> {
    let Some(ended) = ended else { bail!("the agent did not say how it ended") };
    match ended.exit_status {
        Some(status) => {
            let (signal, code) = (status & 0x7f, (status >> 8) & 0xff);
            let code = if signal == 0 { code } else { 128 + signal };
            Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
        }
        None => bail!("{}", ended.message.unwrap_or_else(|| "how it ended is unknown".into())),
    }
}

fn wait(container: &ContainerId) -> Call {
    Call {
        r#type: Some(Type::WaitContainer.into()),
        wait_container: Some(WaitContainer { container_id: container.clone() }),
        ..Call::default()
    }
}

fn call(asked: AttachContainerInput) -> Call {
    Call {
        r#type: Some(Type::AttachContainerInput.into()),
        attach_container_input: Some(asked),
        ..Call::default()
    }
}

fn said(message: ProcessIo) -> Call {
    call(AttachContainerInput {
        r#type: Some(attach_container_input::Type::ProcessIo.into()),
        container_id: None,
        process_io: Some(message),
    })
}

fn stdin(data: Vec<u8>) -> Call {
    said(ProcessIo {
        r#type: Some(process_io::Type::Data.into()),
        data: Some(Data { r#type: Some(data::Type::Stdin.into()), data: Some(data) }),
        control: None,
    })
}

fn size() -> Call {
    let info = TtyInfo { window_size: terminal::size() };
    controlled(Control {
        r#type: Some(control::Type::TtyInfo.into()),
        tty_info: Some(info),
        heartbeat: None,
    })
}

fn beat() -> Call {
    let nanoseconds = i64::try_from(HEARTBEAT.as_nanos()).unwrap_or(i64::MAX);
    controlled(Control {
        r#type: Some(control::Type::Heartbeat.into()),
        tty_info: None,
        heartbeat: Some(control::Heartbeat { interval: Some(DurationInfo { nanoseconds }) }),
    })
}

fn controlled(control: Control) -> Call {
    said(ProcessIo {
        r#type: Some(process_io::Type::Control.into()),
        data: None,
        control: Some(control),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_a_shell() {
        let of = |status: i32| {
            let ended = response::WaitContainer { exit_status: Some(status), ..Default::default() };
            format!("{:?}", code(Some(ended)).unwrap())
        };
        let expected = |code: u8| format!("{:?}", ExitCode::from(code));
        assert_eq!(of(0), expected(0));
        assert_eq!(of(7 << 8), expected(7));
        assert_eq!(of(9), expected(137));
        let lost = response::WaitContainer { message: Some("gone".into()), ..Default::default() };
        assert_eq!(code(Some(lost)).unwrap_err().to_string(), "gone");
    }
}
