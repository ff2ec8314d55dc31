//! Simulated executors: programs that take tasks, run them for a while, and live and die as
//! they like.

use std::collections::{BTreeMap, BTreeSet};

use muster_agent::{ExecutorEvent, ExecutorKey, Input, Output};
use muster_api::TaskStateExt;
use muster_api::mesos::executor::Event as Told;
use muster_api::mesos::executor::event::Type;
use muster_api::mesos::{TaskState, TaskStatus};
use muster_containerizer::Termination;
use rand::RngExt;

use super::{Event, World};
use crate::simulation::machine::Container;

/// One executor's process.
#[derive(Debug, Default)]
pub(crate) struct Program {
    id: String,
    subscription: Option<u64>,
    tasks: BTreeMap<String, TaskState>,
    /// Tasks without an acknowledged update.
    fresh: BTreeSet<String>,
    unacknowledged: Vec<TaskStatus>,
}

/// What a program does next.
pub(crate) enum Turn {
    Subscribe,
    Change { task: String, state: TaskState },
    Exit,
}

impl World {
    /// The command of an executor's container is executed.
    pub(crate) fn start_program(&mut self, container: &str, id: &str) {
        let program = Program { id: id.to_owned(), ..Program::default() };
        self.programs.insert(container.to_owned(), program);
        let after = self.rng.random_range(0.0..2.0);
        self.turn(after, container, Turn::Subscribe);
        let life = self.rng.random_range(1.0..200.0);
        self.turn(life, container, Turn::Exit);
    }

    fn turn(&mut self, after: f64, container: &str, turn: Turn) {
        self.schedule(after, Event::Program { container: container.to_owned(), turn });
    }

    /// The agent has died: its streams are broken.
    pub(crate) fn break_streams(&mut self) {
        let containers: Vec<String> = self.programs.keys().cloned().collect();
        for container in containers {
            self.broken(&container);
        }
    }

    fn broken(&mut self, container: &str) {
        let Some(program) = self.programs.get_mut(container) else { return };
        if program.subscription.take().is_some() {
            let after = self.rng.random_range(0.0..6.0);
            self.turn(after, container, Turn::Subscribe);
        }
    }

    pub(crate) fn program_turn(&mut self, container: &str, turn: Turn) {
        if !self.machine.runs(container) {
            self.programs.remove(container);
            return;
        }
        match turn {
            Turn::Subscribe => self.subscribe(container),
            Turn::Change { task, state } => self.change(container, &task, state),
            Turn::Exit => {
                self.programs.remove(container);
                self.end(container, Termination::Exited(1));
            }
        }
    }

    fn subscribe(&mut self, container: &str) {
        let Some(program) = self.programs.get_mut(container) else { return };
        let key = ExecutorKey { framework: "f".into(), executor: program.id.clone() };
        let open = self.agent.as_ref().is_some_and(|agent| {
            agent.recovered() && agent.executor(&key).is_some_and(|e| e.container_id() == container)
        });
        if !open {
            return self.turn(1.0, container, Turn::Subscribe);
        }
        self.subscriptions += 1;
        let subscription = self.subscriptions;
        program.subscription = Some(subscription);
        let event = ExecutorEvent::Subscribe {
            subscription,
            tasks: program.fresh.clone(),
            updates: program.unacknowledged.clone(),
        };
        self.feed(Input::Executor { key, event });
    }

    fn change(&mut self, container: &str, task: &str, state: TaskState) {
        let uuid: [u8; 16] = self.rng.random();
        let Some(program) = self.programs.get_mut(container) else { return };
        let Some(held) = program.tasks.get_mut(task).filter(|held| !held.is_terminal()) else {
            return;
        };
        *held = state;
        let status = TaskStatus {
            task_id: task.into(),
            state: state.into(),
            uuid: Some(uuid.to_vec()),
            ..TaskStatus::default()
        };
        program.unacknowledged.push(status.clone());
        let key = ExecutorKey { framework: "f".into(), executor: program.id.clone() };
        if program.subscription.is_some() {
            let event = ExecutorEvent::Update(Box::new(status));
            self.schedule(0.01, Event::Agent(Input::Executor { key, event }));
        }
        if state == TaskState::TaskRunning {
            let after = self.rng.random_range(0.0..60.0);
            let state = TaskState::TaskFinished;
            self.turn(after, container, Turn::Change { task: task.to_owned(), state });
        }
    }

    /// The agent says something to executors.
    pub(crate) fn act_for_executor(&mut self, output: Output) {
        match output {
            Output::Tell { subscription, event } => {
                let holder =
                    self.programs.iter().find(|(_, p)| p.subscription == Some(subscription));
                if let Some((container, _)) = holder {
                    let container = container.clone();
                    self.hear(&container, *event);
                }
            }
            Output::HangUp { subscription } => {
                let holder =
                    self.programs.iter().find(|(_, p)| p.subscription == Some(subscription));
                if let Some((container, _)) = holder {
                    self.broken(&container.clone());
                }
            }
            Output::Update { container, .. } => {
                use muster_agent::ContainerEvent::{UpdateFailed, Updated};
                let there = self.machine.containers.get(&container) == Some(&Container::Running);
                let fails = !there || self.faults.full > 0.0 && self.rng.random_bool(0.02);
                let failed = UpdateFailed { message: "write cgroup: EINVAL".into() };
                self.event(0.05, &container, if fails { failed } else { Updated });
            }
            _ => {}
        }
    }

    fn hear(&mut self, container: &str, event: Told) {
        let after = self.rng.random_range(0.0..0.5);
        let Some(program) = self.programs.get_mut(container) else { return };
        match event.r#type() {
            Type::Launch => {
                let task = event.launch.unwrap().task.task_id.value;
                let rows = muster_agent::Checkpoint::load(&self.store).unwrap().tasks;
                let written = rows.iter().any(|row| row.info.task_id.value == task);
                assert!(written, "{task} is delivered unwritten");
                let first = program.tasks.insert(task.clone(), TaskState::TaskStaging).is_none();
                assert!(first, "{task} is delivered twice");
                program.fresh.insert(task.clone());
                self.delivered.insert(task.clone());
                self.turn(after, container, Turn::Change { task, state: TaskState::TaskRunning });
            }
            Type::Kill => {
                let task = event.kill.unwrap().task_id.value;
                self.turn(after, container, Turn::Change { task, state: TaskState::TaskKilled });
            }
            Type::Acknowledged => {
                let told = event.acknowledged.unwrap();
                program.unacknowledged.retain(|status| status.uuid.as_ref() != Some(&told.uuid));
                program.fresh.remove(&told.task_id.value);
            }
            Type::Shutdown => self.turn(after, container, Turn::Exit),
            _ => {}
        }
    }
}
