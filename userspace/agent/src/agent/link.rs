//! The link to the master: dialled, registered, lost, dialled again.

use std::time::Duration;

use muster_api::muster::{AgentMessage, MasterMessage, Pong, agent_message, master_message};
use rand::RngExt;

use super::{Agent, LinkEvent, Output, Timer};

/// Pauses between attempts to reach the master: short, so that one that restarts is
/// found quickly.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// Pause after the master has refused this agent: only a person can help.
pub(crate) const REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// How long the answer to the registration may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(15);

/// The session under way.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) session: u64,
    pub(crate) pause: Duration,
    /// When the master was last heard.
    pub(crate) heard: Duration,
    /// How long it may be silent.
    pub(crate) silence: Duration,
    /// How often it has been dialled in vain since it last registered this agent.
    pub(crate) failures: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self { session: 0, pause: FIRST_PAUSE, heard: Duration::ZERO, silence: ANSWER, failures: 0 }
    }
}

impl Agent {
    pub(super) fn link_event(&mut self, now: Duration, session: u64, event: LinkEvent) {
        if session != self.link.session {
            return;
        }
        self.link.heard = now;
        match event {
            LinkEvent::Connected => self.register(),
            LinkEvent::Message(message) => self.message(now, *message),
            LinkEvent::Disconnected { error } => self.disconnected(&error),
        }
    }

    /// Dials, `after` a pause; the session before is over.
    pub(super) fn dial(&mut self, after: Duration) {
        self.io.registered = false;
        // What was to be said is said anew once the master is there.
        self.io.outbox.withdraw(|output| matches!(output, Output::Send(_)));
        self.refused.clear();
        self.link.session += 1;
        self.io.outbox.now(Output::Dial { session: self.link.session, after });
    }

    fn message(&mut self, now: Duration, message: MasterMessage) {
        use master_message::Message;
        match message.message {
            None => tracing::warn!("the master sent a message this version does not know"),
            Some(Message::Registered(registered)) => self.was_registered(&registered),
            Some(Message::Refused(refused)) => {
                tracing::error!(
                    reason = refused.reason,
                    "the master refuses this agent; asking again in {REFUSED_PAUSE:?}"
                );
                self.dial(REFUSED_PAUSE);
            }
            Some(Message::Ping(_)) => {
                self.io.outbox.now(say(agent_message::Message::Pong(Pong {})));
            }
            // Nothing else means anything before the master has registered this agent.
            Some(_) if !self.io.registered => {
                tracing::warn!("the master gave orders before it registered this agent; ignored");
            }
            Some(Message::Launch(launch)) => self.launch(now, launch),
            Some(Message::LaunchGroup(group)) => self.launch_group(now, group),
            Some(Message::Kill(kill)) => self.kill(now, &kill),
            Some(Message::ExecutorMessage(message)) => self.message_to_executor(message),
            Some(Message::ShutdownExecutor(shutdown)) => self.shutdown(now, &shutdown),
            Some(Message::Acknowledge(acknowledge)) => self.acknowledge(&acknowledge),
            Some(Message::Snapshot(snapshot)) => {
                self.view.replace(snapshot, now);
                self.plane.replaced(&mut self.io, &self.view);
            }
            Some(Message::Delta(delta)) => {
                if let Ok(vips) = self.view.apply(delta, now) {
                    self.plane.changed(&mut self.io, &self.view, vips);
                } else {
                    tracing::warn!(
                        version = self.view.version(),
                        "the master's change does not follow the view held here; registering again"
                    );
                    self.redial();
                }
            }
        }
    }

    fn disconnected(&mut self, error: &str) {
        // Once for each longer pause, then about once a minute.
        if self.link.pause < LAST_PAUSE || self.link.failures.is_multiple_of(15) {
            tracing::error!(error, "no link to the master; trying again, tasks go on");
        }
        self.link.failures += 1;
        self.redial();
    }

    /// Nothing has been heard of the master for a while.
    pub(super) fn silence(&mut self, now: Duration, session: u64) {
        if session != self.link.session {
            return;
        }
        let quiet = now.saturating_sub(self.link.heard);
        if quiet >= self.link.silence {
            tracing::error!(?quiet, "the master is silent; dialling it again");
            return self.redial();
        }
        let timer = Timer::Silence { session };
        self.io.outbox.now(Output::Timer { after: self.link.silence.saturating_sub(quiet), timer });
    }

    /// Dials again after a pause that grows until the master registers this agent, and
    /// is not the same for all agents that lost it at once.
    fn redial(&mut self) {
        let pause = self.link.pause;
        self.link.pause = (pause * 2).min(LAST_PAUSE);
        let jittered = pause.mul_f64(self.io.rng.random_range(0.5..=1.0));
        self.dial(jittered);
    }
}

pub(crate) fn say(message: agent_message::Message) -> Output {
    Output::Send(Box::new(AgentMessage { message: Some(message) }))
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::TaskState;
    use muster_api::muster::{
        Acknowledge, Kill, Launch, Ping, Refused, ViewDelta, ViewSnapshot, master_message::Message,
    };

    use super::super::Input;
    use super::super::testing::{
        Rig, dialled, registered, registrations, sent, states, task, timers,
    };
    use super::*;

    fn broken(rig: &mut Rig) -> Vec<Output> {
        rig.link(LinkEvent::Disconnected { error: "connection refused".into() })
    }

    #[test]
    fn pauses_between_dials_grow_to_five_seconds_and_are_short_again_after_a_registration() {
        let mut rig = Rig::cold();
        rig.start(Vec::new());
        let limits = [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0];
        for limit in limits {
            let [pause] = dialled(&broken(&mut rig))[..] else { panic!() };
            let range = limit / 2.0..=limit;
            assert!(range.contains(&pause.as_secs_f64()), "{pause:?} of {limit}");
        }
        rig.attach();
        let [pause] = dialled(&broken(&mut rig))[..] else { panic!() };
        assert!(pause <= FIRST_PAUSE, "{pause:?}");
    }

    #[test]
    fn the_past_session_is_not_listened_to() {
        let mut rig = Rig::registered();
        let old = rig.session;
        broken(&mut rig);
        let event = LinkEvent::Disconnected { error: "again".into() };
        assert!(rig.feed(Input::Link { session: old, event }).is_empty());
        assert!(!rig.agent.registered());
    }

    #[test]
    fn a_refusal_is_asked_again_much_later() {
        let mut rig = Rig::cold();
        rig.start(Vec::new());
        rig.link(LinkEvent::Connected);
        let outputs = rig.say(Message::Refused(Refused { reason: "name taken".into() }));
        assert_eq!(dialled(&outputs), [REFUSED_PAUSE]);
        assert!(!rig.agent.registered());
    }

    #[test]
    fn orders_before_the_registration_are_ignored() {
        let mut rig = Rig::cold();
        rig.start(Vec::new());
        rig.link(LinkEvent::Connected);
        rig.launch(task("t"));
        assert!(!rig.knows("t"));
    }

    #[test]
    fn pings_are_answered_and_missing_ones_noticed() {
        let mut rig = Rig::registered();
        let outputs = rig.say(Message::Ping(Ping {}));
        assert!(matches!(&outputs[..], [Output::Send(message)]
            if matches!(message.message, Some(agent_message::Message::Pong(_)))));
        // Five intervals of three seconds, from the last word.
        rig.now += Duration::from_secs(10);
        rig.say(Message::Ping(Ping {}));
        rig.now += Duration::from_secs(5);
        let timer = Timer::Silence { session: rig.session };
        let outputs = rig.timer(timer.clone());
        let set = timers(&outputs, |timer| matches!(timer, Timer::Silence { .. }));
        assert_eq!(set, [(Duration::from_secs(10), timer.clone())]);
        rig.now += Duration::from_secs(10);
        assert_eq!(dialled(&rig.timer(timer.clone())).len(), 1);
        assert!(!rig.agent.registered());
        assert!(rig.timer(timer).is_empty());
    }

    #[test]
    fn a_master_that_never_answers_the_registration_is_dialled_again() {
        let mut rig = Rig::cold();
        rig.start(Vec::new());
        let outputs = rig.link(LinkEvent::Connected);
        let set = timers(&outputs, |timer| matches!(timer, Timer::Silence { .. }));
        let [(after, timer)] = &set[..] else { panic!("{outputs:?}") };
        rig.now += *after;
        assert_eq!(dialled(&rig.timer(timer.clone())).len(), 1);
    }

    #[test]
    fn a_gap_in_the_view_is_closed_by_registering_again() {
        let mut rig = Rig::registered();
        rig.say(Message::Snapshot(ViewSnapshot {
            epoch: "e".into(),
            version: 7,
            ..Default::default()
        }));
        let gap = ViewDelta { epoch: "e".into(), from: 8, to: 9, ..Default::default() };
        assert_eq!(dialled(&rig.say(Message::Delta(gap))).len(), 1);
        let register = registrations(&rig.link(LinkEvent::Connected)).remove(0);
        assert_eq!(register.view_version, 7);
    }

    #[test]
    fn what_waited_for_the_disk_is_not_said_on_the_next_link_before_the_registration() {
        let mut rig = Rig::registered();
        rig.launch(task("t"));
        let container = rig.task("t").container_id().to_owned();
        rig.acknowledge("t");
        let event = super::super::ContainerEvent::Launched { pid: 1, addresses: None };
        let outputs = rig.agent.handle(rig.now, Input::Container { id: container, event });
        assert!(sent(&outputs).is_empty());
        // The link breaks and comes back before the disk has answered.
        broken(&mut rig);
        assert!(registrations(&rig.link(LinkEvent::Connected)).is_empty());
        let outputs = rig.feed(Input::Persisted(Ok(())));
        assert!(sent(&outputs).is_empty());
        assert_eq!(registrations(&outputs).len(), 1);
        let outputs = rig.say(Message::Registered(registered()));
        assert_eq!(states(&outputs), [TaskState::TaskRunning]);
    }

    #[test]
    fn messages_without_content_are_ignored() {
        let mut rig = Rig::registered();
        let empty = LinkEvent::Message(Box::new(MasterMessage { message: None }));
        assert!(rig.link(empty).is_empty());
        for message in [
            Message::Launch(Launch::default()),
            Message::Kill(Kill::default()),
            Message::Acknowledge(Acknowledge::default()),
        ] {
            assert!(rig.say(message).is_empty());
        }
    }
}
