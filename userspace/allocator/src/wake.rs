//! Which agents a cycle has to look at.
//!
//! An agent of which nothing could be given to anybody is quiet. It stays so until something
//! gets looser: more of it is free, a filter of it ends, or a framework or role could be
//! given what it could not before. What gets tighter never wakes an agent. So a cycle in which
//! nothing has changed costs nothing, with the same result as one that looks at everything.

use crate::ids::{ClientId, RoleId};

/// Who could be given more than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looser {
    /// All frameworks of a role.
    Role(RoleId),
    /// One framework in a role.
    Member(RoleId, ClientId),
}

/// More changes than this are taken as one of everything.
const MOST: usize = 64;

/// What has become looser, and when. Time is the number of such changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wake {
    now: u64,
    /// When everything did.
    all: u64,
    changes: Vec<(u64, Looser)>,
}

/// What is to be looked at on an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Nothing,
    Only(Vec<Looser>),
    Everything,
}

impl Scope {
    /// With some more.
    pub(crate) fn and(self, more: &[Looser]) -> Self {
        let mut all = match self {
            Self::Everything => return Self::Everything,
            Self::Nothing => Vec::new(),
            Self::Only(who) => who,
        };
        all.extend(more.iter().filter(|who| !all.contains(who)).copied().collect::<Vec<_>>());
        Self::Only(all)
    }
}

impl Wake {
    /// The present, which an agent becomes quiet at.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// Everybody could be given more.
    pub(crate) fn loosen_all(&mut self) {
        self.now += 1;
        self.all = self.now;
        self.changes.clear();
    }

    /// Somebody could be given more.
    pub(crate) fn loosen(&mut self, who: Looser) {
        self.changes.retain(|(_, other)| *other != who);
        if self.changes.len() == MOST {
            self.loosen_all();
        } else {
            self.now += 1;
            self.changes.push((self.now, who));
        }
    }

    /// Forgets changes of who is gone; their numbers are used again.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(&Looser) -> bool) {
        self.changes.retain(|(_, who)| !is_gone(who));
    }

    /// What an agent that has been quiet since then has to be looked at for.
    pub(crate) fn since(&self, quiet: Option<u64>) -> Scope {
        let Some(quiet) = quiet else { return Scope::Everything };
        if quiet < self.all {
            return Scope::Everything;
        }
        if quiet >= self.now {
            return Scope::Nothing;
        }
        let newer = self.changes.iter().filter(|(time, _)| *time > quiet);
        let newer: Vec<Looser> = newer.map(|(_, who)| *who).collect();
        if newer.is_empty() { Scope::Nothing } else { Scope::Only(newer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(number: u32) -> Looser {
        Looser::Role(RoleId::from(number as usize))
    }

    #[test]
    fn only_what_came_later_counts() {
        let mut wake = Wake::default();
        assert_eq!(wake.since(None), Scope::Everything);
        assert_eq!(wake.since(Some(0)), Scope::Nothing);
        wake.loosen(role(1));
        let quiet = wake.now();
        wake.loosen(role(2));
        wake.loosen(role(3));
        wake.loosen(role(2));
        assert_eq!(wake.since(Some(quiet)), Scope::Only(vec![role(3), role(2)]));
        assert_eq!(wake.since(Some(wake.now())), Scope::Nothing);
        wake.forget(|who| *who == role(3));
        assert_eq!(wake.since(Some(quiet)), Scope::Only(vec![role(2)]));
        wake.loosen_all();
        assert_eq!(wake.since(Some(quiet)), Scope::Everything);
    }

    #[test]
    fn many_changes_are_everything() {
        let mut wake = Wake::default();
        for number in 0..=u32::try_from(MOST).unwrap() {
            wake.loosen(role(number));
        }
        assert_eq!(wake.since(Some(0)), Scope::Everything);
        assert_eq!(wake.since(Some(wake.now())), Scope::Nothing);
    }
}
