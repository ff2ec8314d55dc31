//! A task's status updates on their way to the master.

use std::collections::VecDeque;
use std::time::Duration;

use muster_api::mesos::TaskStatus;

/// Pause before an update without acknowledgement is sent again; doubles each time.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest such pause.
pub(crate) const LAST_PAUSE: Duration = Duration::from_mins(10);

/// The updates of one task that await acknowledgement, oldest first. Only the first is
/// ever under way, so the framework sees them in order and none twice out of order.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    waiting: VecDeque<(u64, TaskStatus)>,
    next: u64,
    pause: Duration,
    sent: u64,
}

impl Stream {
    /// A stream that holds what a checkpoint held: numbered updates in order.
    pub(crate) fn new(waiting: Vec<(u64, TaskStatus)>) -> Self {
        let next = waiting.last().map_or(0, |(number, _)| number + 1);
        Self { waiting: waiting.into(), next, pause: FIRST_PAUSE, sent: 0 }
    }

    /// Adds an update at the end; gives back its number.
    pub(crate) fn push(&mut self, status: TaskStatus) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.push_back((number, status));
        number
    }

    /// The update that is, or is to be, under way.
    pub(crate) fn head(&self) -> Option<&TaskStatus> {
        self.waiting.front().map(|(_, status)| status)
    }

    /// Whether nothing awaits acknowledgement.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many updates await acknowledgement.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The head is being sent for the `sent`th time of this stream; if nothing is heard
    /// it goes out again after the pause given back.
    pub(crate) fn send(&mut self) -> Sending<'_> {
        self.sent += 1;
        let pause = self.pause;
        self.pause = (pause * 2).min(LAST_PAUSE);
        Sending { status: self.waiting.front().map(|(_, status)| status), pause, sent: self.sent }
    }

    /// How many sends there have been.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Pauses start small again: the link is new.
    pub(crate) fn reset_pause(&mut self) {
        self.pause = FIRST_PAUSE;
    }

    /// Takes the head off if `uuid` is its own; gives it back with its number.
    pub(crate) fn acknowledge(&mut self, uuid: &[u8]) -> Option<(u64, TaskStatus)> {
        if self.head()?.uuid.as_deref() != Some(uuid) {
            return None;
        }
        self.pause = FIRST_PAUSE;
        self.waiting.pop_front()
    }
}

/// One send of a stream's head.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    pub(crate) status: Option<&'a TaskStatus>,
    pub(crate) pause: Duration,
    pub(crate) sent: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(uuid: u8) -> TaskStatus {
        TaskStatus { uuid: Some(vec![uuid; 16]), ..Default::default() }
    }

    #[test]
    fn only_the_head_is_acknowledged() {
        let mut stream = Stream::new(Vec::new());
        assert_eq!([stream.push(status(1)), stream.push(status(2))], [0, 1]);
        assert_eq!(stream.acknowledge(&[2; 16]), None);
        assert_eq!(stream.acknowledge(&[]), None);
        assert_eq!(stream.acknowledge(&[1; 16]), Some((0, status(1))));
        assert_eq!(stream.acknowledge(&[1; 16]), None);
        assert_eq!(stream.head(), Some(&status(2)));
        assert_eq!(stream.acknowledge(&[2; 16]), Some((1, status(2))));
        assert!(stream.is_empty());
        assert_eq!(stream.acknowledge(&[2; 16]), None);
    }

    #[test]
    fn numbers_go_on_after_those_of_a_checkpoint() {
        let mut stream = Stream::new(vec![(4, status(4)), (7, status(7))]);
        assert_eq!(stream.push(status(8)), 8);
        assert_eq!(stream.len(), 3);
        assert_eq!(stream.acknowledge(&[4; 16]).unwrap().0, 4);
    }

    #[test]
    fn pauses_double_from_ten_seconds_to_ten_minutes_for_each_update() {
        let mut stream = Stream::new(Vec::new());
        stream.push(status(1));
        let pauses: Vec<_> = (0..8).map(|_| stream.send().pause.as_secs()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 600, 600]);
        stream.push(status(2));
        stream.acknowledge(&[1; 16]).unwrap();
        assert_eq!(stream.send().pause, FIRST_PAUSE);
        assert_eq!(stream.send().sent, 10);
        stream.reset_pause();
        assert_eq!(stream.send().pause, FIRST_PAUSE);
    }
}
