//! What is known of operators' connections to containers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use muster_containerizer::Termination;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Ends of sessions that are remembered: who ran a command asks for its end afterwards.
const REMEMBERED: usize = 1024;

/// Who is connected, and how sessions ended. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    ended: VecDeque<(String, Termination)>,
    inputs: BTreeSet<String>,
    /// Of the containers that somebody makes or removes.
    turns: BTreeMap<String, Weak<AsyncMutex<()>>>,
}

/// The right to be a container's input. There is one at a time.
#[derive(Debug)]
pub(crate) struct InputRight {
    name: String,
    sessions: Sessions,
}

impl Sessions {
    /// Remembers how a session ended, for a while.
    pub(crate) fn ended(&self, name: String, how: Termination) {
        let mut table = self.lock();
        table.ended.retain(|(known, _)| *known != name);
        if table.ended.len() == REMEMBERED {
            table.ended.pop_front();
        }
        table.ended.push_back((name, how));
    }

    /// How a session ended.
    pub(crate) fn end_of(&self, name: &str) -> Option<Termination> {
        let table = self.lock();
        table.ended.iter().find(|(known, _)| known == name).map(|(_, how)| how.clone())
    }

    /// Forgets it.
    pub(crate) fn forget(&self, name: &str) {
        self.lock().ended.retain(|(known, _)| known != name);
    }

    /// The right to be a container's input, if nobody has it.
    pub(crate) fn input(&self, name: &str) -> Option<InputRight> {
        let free = self.lock().inputs.insert(name.to_owned());
        free.then(|| InputRight { name: name.to_owned(), sessions: self.clone() })
    }

    /// Waits until nobody makes or removes the container `name` with its sandbox, and lets nobody
    /// else until this is dropped.
    pub(crate) async fn turn(&self, name: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let turns = &mut self.lock().turns;
            turns.retain(|_, turn| turn.strong_count() > 0);
            let known = turns.get(name).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turn = Arc::new(AsyncMutex::new(()));
                turns.insert(name.to_owned(), Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing is ever half done under it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InputRight {
    fn drop(&mut self) {
        self.sessions.lock().inputs.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ends_are_remembered() {
        let sessions = Sessions::default();
        for number in 0..=REMEMBERED {
            sessions.ended(format!("p/{number}"), Termination::Exited(0));
        }
        assert_eq!(sessions.end_of("p/0"), None);
        assert_eq!(sessions.end_of("p/1"), Some(Termination::Exited(0)));
        sessions.ended("p/1".into(), Termination::Exited(7));
        assert_eq!(sessions.end_of("p/1"), Some(Termination::Exited(7)));
        sessions.forget("p/1");
        assert_eq!(sessions.end_of("p/1"), None);
    }

    #[tokio::test]
    async fn one_turn_after_the_other_and_none_is_kept() {
        let sessions = Sessions::default();
        let first = sessions.turn("c").await;
        let mut second = Box::pin(sessions.turn("c"));
        assert!(futures::poll!(&mut second).is_pending());
        drop(sessions.turn("d").await);
        drop(first);
        drop(second.await);
        drop(sessions.turn("e").await);
        assert_eq!(sessions.lock().turns.keys().collect::<Vec<_>>(), ["e"]);
    }

    #[test]
    fn one_input_at_a_time() {
        let sessions = Sessions::default();
        let right = sessions.input("c").unwrap();
        assert!(sessions.input("c").is_none());
        assert!(sessions.input("d").is_some());
        drop(right);
        assert!(sessions.input("c").is_some());
    }
}
