//! Helpers of removed containers that are about to end.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::task::JoinHandle;

/// How many there may be: more come only as fast as the kernel takes mounts away.
const MOST: usize = 16;

/// What comes to its end with each of them, the oldest first.
#[derive(Default)]
pub(super) struct Ending(Mutex<VecDeque<JoinHandle<io::Result<()>>>>);

impl Ending {
    /// Adds one, and waits for the oldest if there are too many.
    pub(super) async fn add(&self, end: JoinHandle<io::Result<()>>) {
        let oldest = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|end| !end.is_finished());
            all.push_back(end);
            if all.len() > MOST { all.pop_front() } else { None }
        };
        if let Some(end) = oldest {
            // That one cannot be waited for stops nobody: it has nothing to do but to end.
            let _ = end.await;
        }
    }

    /// Waits for all.
    pub(super) async fn all(&self) {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for end in all {
            let _ = end.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_so_many_are_not_waited_for() {
        let ending = Ending::default();
        let mut tell = Vec::new();
        let mut next = || {
            let (told, end) = tokio::sync::oneshot::channel::<()>();
            tell.push(told);
            tokio::spawn(async move { end.await.map_err(io::Error::other) })
        };
        for _ in 0..MOST {
            ending.add(next()).await;
        }
        let one_more = next();
        let mut adding = std::pin::pin!(ending.add(one_more));
        tokio::select! {
            biased;
            () = &mut adding => panic!("one has ended"),
            () = tokio::task::yield_now() => {}
        }
        tell.remove(0).send(()).unwrap();
        adding.await;
        assert_eq!(ending.0.lock().unwrap().len(), MOST);
        for told in tell {
            told.send(()).unwrap();
        }
        ending.all().await;
        assert!(ending.0.lock().unwrap().is_empty());
    }
}
