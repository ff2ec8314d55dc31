//! Keeping the data plane at the view.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_api::muster::VipKey;
use muster_dataplane::Skips;
use rand::RngExt;

use super::view::Key;
use super::{Agent, Io, Output, Timer, View, VipNews};

/// Pause before a failed reconciliation is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// The kernel's state is read at least this often, as dcos-net's was.
const READ: Duration = Duration::from_secs(30);

/// Reconciles the data plane to the view: one reconciliation at a time, and however many
/// changes come meanwhile, one more after it.
#[derive(Debug, Default)]
pub(crate) struct Plane {
    running: bool,
    stale: bool,
    failing: bool,
    /// The data plane is to be told of all VIPs: they are others, or it is not known what it has done
    /// of what it was told.
    whole: bool,
    /// VIPs that it has not been told of since they changed.
    changed: BTreeSet<Key>,
    /// What the data plane takes the kernel to have is no older than [`READ`].
    fresh: bool,
    skips: Skips,
}

impl Plane {
    /// There is another view.
    pub(crate) fn replaced(&mut self, io: &mut Io, view: &View) {
        (self.stale, self.whole) = (true, true);
        self.start(io, view);
    }

    /// Some VIPs of the view have changed, if any.
    pub(crate) fn changed(&mut self, io: &mut Io, view: &View, vips: BTreeSet<Key>) {
        if !vips.is_empty() {
            self.stale = true;
            self.changed.extend(vips);
            self.start(io, view);
        }
    }

    /// The reconciliation under way is over.
    pub(crate) fn reconciled(&mut self, io: &mut Io, view: &View, result: Result<Skips, String>) {
        self.running = false;
        match result {
            Ok(skips) => {
                self.skips = skips;
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the data plane follows the cluster view again");
                }
                self.start(io, view);
            }
            Err(error) => {
                io.counters.reconcile_errors += 1;
                tracing::error!(%error, "cannot bring the data plane to the cluster view; it keeps its last state and is tried again");
                self.failing = true;
                (self.stale, self.whole) = (true, true);
                io.outbox.now(Output::Timer { after: RETRY, timer: Timer::Reconcile });
            }
        }
    }

    /// What of the view the data plane does not do.
    pub(crate) fn skips(&self) -> &Skips {
        &self.skips
    }

    /// The pause after a failure is over.
    pub(crate) fn retry(&mut self, io: &mut Io, view: &View) {
        self.start(io, view);
    }

    /// What the kernel has was read long ago.
    pub(crate) fn read(&mut self, io: &mut Io, view: &View) {
        self.fresh = false;
        self.stale = true;
        // Else the next try reads.
        if !self.failing {
            self.start(io, view);
        }
    }

    fn start(&mut self, io: &mut Io, view: &View) {
        if self.stale && !self.running {
            self.running = true;
            self.stale = false;
            let read = !std::mem::replace(&mut self.fresh, true);
            if read {
                // Agents that were told of the same change do not all read at the same time.
                let after = READ.mul_f64(io.rng.random_range(0.5..=1.0));
                io.outbox.now(Output::Timer { after, timer: Timer::Read });
            }
            io.outbox.now(Output::Reconcile { news: self.news(view), read });
        }
    }

    /// What the data plane has not been told of.
    fn news(&mut self, view: &View) -> VipNews {
        let keys = std::mem::take(&mut self.changed);
        if std::mem::take(&mut self.whole) {
            return VipNews::Whole(view.vips().cloned().collect());
        }
        let (mut changed, mut removed) = (Vec::new(), Vec::new());
        for key in keys {
            match view.vip(&key) {
                Some(vip) => changed.push(vip.clone()),
                None => removed.push(VipKey { address: key.0, port: key.1, protocol: key.2 }),
            }
        }
        VipNews::Change { changed, removed }
    }
}

impl Agent {
    /// What of the cluster's VIPs the data plane does not serve as the view says, and why.
    pub fn vips_skipped(&self) -> &Skips {
        self.plane.skips()
    }
}

#[cfg(test)]
mod tests {
    use muster_api::muster::{ViewDelta, ViewSnapshot, VipKey, master_message::Message};

    use super::super::testing::{Rig, timers};
    use super::super::{Input, LinkEvent};
    use super::*;

    fn vip(port: u32) -> muster_api::muster::Vip {
        let key = VipKey { address: "11.0.0.1".into(), port, protocol: 6 };
        muster_api::muster::Vip { key: Some(key), ..Default::default() }
    }

    fn delta(from: u64, port: u32) -> Message {
        let vips_changed = vec![vip(port)];
        Message::Delta(ViewDelta {
            epoch: "e".into(),
            from,
            to: from + 1,
            vips_changed,
            ..Default::default()
        })
    }

    /// Of how many VIPs the data plane is told, each time.
    fn reconciled(outputs: &[Output]) -> Vec<usize> {
        let count = |output: &Output| match output {
            Output::Reconcile { news: VipNews::Whole(vips), .. } => Some(vips.len()),
            Output::Reconcile { news: VipNews::Change { changed, removed }, .. } => {
                Some(changed.len() + removed.len())
            }
            _ => None,
        };
        outputs.iter().filter_map(count).collect()
    }

    /// The ports of the VIPs that it is told of: all, or those changed and those removed.
    fn told(outputs: &[Output]) -> (bool, Vec<u32>, Vec<u32>) {
        let port = |key: &VipKey| key.port;
        let ports = |vips: &[muster_api::muster::Vip]| {
            vips.iter().filter_map(|vip| vip.key.as_ref().map(port)).collect()
        };
        match outputs {
            [Output::Reconcile { news: VipNews::Whole(vips), .. }] => {
                (true, ports(vips), Vec::new())
            }
            [Output::Reconcile { news: VipNews::Change { changed, removed }, .. }] => {
                (false, ports(changed), removed.iter().map(port).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    fn snapshot(rig: &mut Rig) -> Vec<Output> {
        let snapshot = ViewSnapshot {
            epoch: "e".into(),
            version: 1,
            vips: vec![vip(1)],
            ..Default::default()
        };
        rig.say(Message::Snapshot(snapshot))
    }

    #[test]
    fn nothing_is_reconciled_before_the_master_has_spoken() {
        let mut rig = Rig::cold();
        assert!(reconciled(&rig.start(Vec::new())).is_empty());
        assert!(reconciled(&rig.attach()).is_empty());
        assert_eq!(reconciled(&snapshot(&mut rig)), [1]);
    }

    #[test]
    fn changes_during_a_reconciliation_become_one() {
        let mut rig = Rig::registered();
        snapshot(&mut rig);
        for from in 1..=3_u32 {
            assert!(reconciled(&rig.say(delta(from.into(), from + 1))).is_empty());
        }
        let outputs = rig.feed(Input::Reconciled(Ok(Skips::default())));
        assert_eq!(told(&outputs), (false, vec![2, 3, 4], vec![]));
        assert!(reconciled(&rig.feed(Input::Reconciled(Ok(Skips::default())))).is_empty());
    }

    #[test]
    fn only_what_has_changed_is_told_until_it_is_not_known_what_was_done() {
        let mut rig = Rig::registered();
        assert_eq!(reconciled(&snapshot(&mut rig)), [1]);
        rig.feed(Input::Reconciled(Ok(Skips::default())));
        assert_eq!(told(&rig.say(delta(1, 2))), (false, vec![2], vec![]));
        let gone = ViewDelta {
            epoch: "e".into(),
            from: 2,
            to: 3,
            vips_removed: vec![vip(1).key.unwrap()],
            ..Default::default()
        };
        assert!(rig.say(Message::Delta(gone)).is_empty());
        rig.say(delta(3, 3));
        let outputs = rig.feed(Input::Reconciled(Ok(Skips::default())));
        assert_eq!(told(&outputs), (false, vec![3], vec![1]));
        // What comes while that fails is in the whole.
        rig.say(delta(4, 4));
        rig.feed(Input::Reconciled(Err("no".into())));
        let outputs = rig.timer(Timer::Reconcile);
        assert_eq!(told(&outputs), (true, vec![2, 3, 4], vec![]));
        let outputs = rig.feed(Input::Reconciled(Ok(Skips::default())));
        assert!(outputs.is_empty());
        assert_eq!(told(&rig.say(delta(5, 5))), (false, vec![5], vec![]));
        // Another view is told whole, without what was there before.
        snapshot(&mut rig);
        let outputs = rig.feed(Input::Reconciled(Ok(Skips::default())));
        assert_eq!(told(&outputs), (true, vec![1], vec![]));
    }

    #[test]
    fn a_change_of_agents_alone_reconciles_nothing() {
        let mut rig = Rig::registered();
        snapshot(&mut rig);
        rig.feed(Input::Reconciled(Ok(Skips::default())));
        let agents_removed = vec!["m-S9".to_owned()];
        let delta =
            ViewDelta { epoch: "e".into(), from: 1, to: 2, agents_removed, ..Default::default() };
        assert!(reconciled(&rig.say(Message::Delta(delta))).is_empty());
    }

    #[test]
    fn a_failure_is_tried_again() {
        let mut rig = Rig::registered();
        snapshot(&mut rig);
        let outputs = rig.feed(Input::Reconciled(Err("map full".into())));
        let set = timers(&outputs, |timer| matches!(timer, Timer::Reconcile));
        assert_eq!(set, [(RETRY, Timer::Reconcile)]);
        assert_eq!(told(&rig.timer(Timer::Reconcile)), (true, vec![1], vec![]));
        assert!(rig.timer(Timer::Reconcile).is_empty());
        assert_eq!(rig.agent.counters().reconcile_errors, 1);
    }

    fn readings(outputs: &[Output]) -> Vec<bool> {
        let read = |output: &Output| match output {
            Output::Reconcile { read, .. } => Some(*read),
            _ => None,
        };
        outputs.iter().filter_map(read).collect()
    }

    #[test]
    fn what_the_kernel_has_is_read_at_first_and_then_every_half_minute() {
        let mut rig = Rig::registered();
        let mut outputs = snapshot(&mut rig);
        for from in 1..=3_u32 {
            assert_eq!(readings(&outputs), [true]);
            let set = timers(&outputs, |timer| matches!(timer, Timer::Read));
            assert_eq!(set.len(), 1);
            assert!((READ / 2..=READ).contains(&set[0].0), "{set:?}");
            rig.feed(Input::Reconciled(Ok(Skips::default())));
            // Changes meanwhile read nothing.
            let changed = rig.say(delta(from.into(), from + 1));
            assert_eq!(readings(&changed), [false]);
            assert!(timers(&changed, |timer| matches!(timer, Timer::Read)).is_empty());
            // One reconciliation at a time: it is read after the one under way.
            assert!(rig.timer(Timer::Read).is_empty());
            outputs = rig.feed(Input::Reconciled(Ok(Skips::default())));
        }
    }

    #[test]
    fn a_reading_waits_for_the_next_try_while_it_fails() {
        let mut rig = Rig::registered();
        snapshot(&mut rig);
        rig.feed(Input::Reconciled(Err("no".into())));
        assert!(rig.timer(Timer::Read).is_empty());
        assert_eq!(readings(&rig.timer(Timer::Reconcile)), [true]);
    }

    #[test]
    fn what_is_skipped_is_known_until_it_is_not() {
        let mut rig = Rig::registered();
        snapshot(&mut rig);
        let skips = Skips { full: [("vips", 3)].into(), ..Skips::default() };
        rig.feed(Input::Reconciled(Ok(skips.clone())));
        assert_eq!(rig.agent.vips_skipped(), &skips);
        // A failure says nothing about it.
        rig.say(delta(1, 2));
        rig.feed(Input::Reconciled(Err("no".into())));
        assert_eq!(rig.agent.vips_skipped(), &skips);
        rig.timer(Timer::Reconcile);
        rig.feed(Input::Reconciled(Ok(Skips::default())));
        assert_eq!(rig.agent.vips_skipped().total(), 0);
    }

    #[test]
    fn the_last_state_is_kept_while_the_master_is_away() {
        let mut rig = Rig::registered();
        snapshot(&mut rig);
        rig.feed(Input::Reconciled(Ok(Skips::default())));
        let outputs = rig.link(LinkEvent::Disconnected { error: "gone".into() });
        assert!(reconciled(&outputs).is_empty());
        assert_eq!(rig.agent.view().vips().count(), 1);
    }
}
