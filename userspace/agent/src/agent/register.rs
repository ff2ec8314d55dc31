//! The agent introduces itself, and the master takes it in.

use std::time::Duration;

use muster_api::muster::{Register, Registered, agent_message};
use prost::Message;

use super::link::{ANSWER, FIRST_PAUSE, REFUSED_PAUSE, say};
use super::{Agent, Executor, Output, Task, Timer};
use crate::checkpoint::{AGENT, AGENT_KEY, AgentRow};

/// Pings that may be missing before the master is taken for dead.
const MISSING_PINGS: f64 = 5.0;

impl Agent {
    /// Tells the master all there is, on a link that has just been opened.
    pub(super) fn register(&mut self) {
        self.link.silence = ANSWER;
        let register = Register {
            info: Some(self.io.settings.info(self.id.as_deref())),
            address: self.io.settings.address.to_string(),
            version: self.io.settings.version.clone(),
            incarnation: self.io.settings.incarnation.clone(),
            tasks: self.tasks.values().map(Task::registered).collect(),
            executors: self.executors.values().map(Executor::registered).collect(),
            view_epoch: self.view.epoch().to_owned(),
            view_version: self.view.version(),
        };
        // The tasks' states in it must be on disk before the master knows them.
        self.io.outbox.then_or_now(say(agent_message::Message::Register(register)));
        let timer = Timer::Silence { session: self.link.session };
        self.io.outbox.now(Output::Timer { after: ANSWER, timer });
    }

    /// The master takes this agent in.
    pub(super) fn was_registered(&mut self, registered: &Registered) {
        let given = registered.agent_id.as_ref().map(|id| id.value.as_str()).unwrap_or_default();
        match &self.id {
            None if given.is_empty() => {
                tracing::error!("the master registered this agent without giving it an id");
                return self.dial(REFUSED_PAUSE);
            }
            None => {
                let row = AgentRow { agent_id: given.to_owned() };
                self.io.outbox.put(AGENT, AGENT_KEY, row.encode_to_vec());
                self.id = Some(given.to_owned());
            }
            Some(own) if own != given => {
                tracing::error!(
                    own,
                    given,
                    "the master gave this agent another id; not following: it has lost its registry, or is another cluster's (to join it, run with --recover cleanup first)"
                );
                return self.dial(REFUSED_PAUSE);
            }
            Some(_) => {}
        }
        tracing::info!(agent = given, master = registered.master_id, "registered");
        self.io.counters.registrations += 1;
        self.io.registered = true;
        self.link.pause = FIRST_PAUSE;
        self.link.failures = 0;
        let silence = Duration::try_from_secs_f64(registered.ping_interval_seconds * MISSING_PINGS);
        match silence {
            Ok(silence) if !silence.is_zero() => self.link.silence = silence,
            _ => tracing::warn!(
                seconds = registered.ping_interval_seconds,
                "the master's ping interval makes no sense; taking {ANSWER:?} for silence"
            ),
        }
        self.resend_all();
    }
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::TaskState;
    use muster_api::muster::{ViewSnapshot, master_message::Message};
    use muster_containerizer::Termination;

    use super::super::LinkEvent;
    use super::super::testing::{AGENT_ID, Rig, dialled, registered, registrations, task};
    use super::*;
    use crate::checkpoint::Checkpoint;

    fn broken(rig: &mut Rig) -> Vec<Output> {
        rig.link(LinkEvent::Disconnected { error: "connection refused".into() })
    }

    #[test]
    fn a_new_agent_registers_without_an_id_and_keeps_the_one_it_is_given() {
        let mut rig = Rig::cold();
        assert_eq!(dialled(&rig.start(Vec::new())), [Duration::ZERO]);
        let outputs = rig.link(LinkEvent::Connected);
        let [register] = &registrations(&outputs)[..] else { panic!("{outputs:?}") };
        let info = register.info.as_ref().unwrap();
        assert_eq!((info.id.clone(), info.hostname.as_str()), (None, "a1"));
        assert_eq!(
            (register.address.as_str(), register.incarnation.as_str()),
            ("10.0.0.1", "first")
        );
        rig.say(Message::Registered(registered()));
        assert_eq!(rig.agent.id(), Some(AGENT_ID));
        let row = Checkpoint::load(&rig.store).unwrap().agent.unwrap();
        assert_eq!(row.agent_id, AGENT_ID);
        broken(&mut rig);
        let register = registrations(&rig.link(LinkEvent::Connected)).remove(0);
        assert_eq!(register.info.unwrap().id, Some(AGENT_ID.into()));
    }

    #[test]
    fn a_registration_tells_all_tasks_and_the_view_held() {
        let mut rig = Rig::registered();
        rig.run(task("runs"));
        rig.acknowledge("runs");
        rig.acknowledge("runs");
        rig.run(task("ended"));
        rig.end("ended", Termination::Exited(0));
        rig.say(Message::Snapshot(ViewSnapshot {
            epoch: "e".into(),
            version: 7,
            ..Default::default()
        }));
        broken(&mut rig);
        let register = registrations(&rig.link(LinkEvent::Connected)).remove(0);
        assert_eq!((register.view_epoch.as_str(), register.view_version), ("e", 7));
        let told: Vec<_> = register
            .tasks
            .iter()
            .map(|task| (task.status.as_ref().unwrap().state(), task.unacknowledged))
            .collect();
        assert_eq!(told, [(TaskState::TaskFinished, true), (TaskState::TaskRunning, false)]);
    }

    #[test]
    fn an_agent_does_not_become_another() {
        let mut rig = Rig::registered();
        broken(&mut rig);
        rig.link(LinkEvent::Connected);
        let other = Registered { agent_id: Some("other-S1".into()), ..registered() };
        let outputs = rig.say(Message::Registered(other));
        assert_eq!(dialled(&outputs), [REFUSED_PAUSE]);
        assert_eq!((rig.agent.id(), rig.agent.registered()), (Some(AGENT_ID), false));
        let mut rig = Rig::cold();
        rig.start(Vec::new());
        rig.link(LinkEvent::Connected);
        let nobody = Registered { agent_id: None, ..registered() };
        assert_eq!(dialled(&rig.say(Message::Registered(nobody))), [REFUSED_PAUSE]);
    }

    #[test]
    fn a_ping_interval_that_makes_no_sense_is_replaced() {
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mut rig = Rig::cold();
            rig.start(Vec::new());
            rig.link(LinkEvent::Connected);
            rig.say(Message::Registered(Registered {
                ping_interval_seconds: seconds,
                ..registered()
            }));
            assert_eq!(rig.agent.link.silence, ANSWER, "{seconds}");
        }
    }
}
