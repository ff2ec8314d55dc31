//! Whom an agent is looked at for.

use smallvec::SmallVec;

use crate::ids::{ClientId, RoleId};
use crate::wake::{Looser, Scope};

/// Whom an agent is looked at for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    Everybody,
    /// These roles, and the frameworks in them if not all.
    Only(Vec<(RoleId, Wanted)>),
}

/// Which frameworks of a role are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    These(SmallVec<[ClientId; 2]>),
}

impl Aim {
    /// `None` if there is nobody to look at it for.
    pub(super) fn of(scope: Scope) -> Option<Self> {
        let who = match scope {
            Scope::Nothing => return None,
            Scope::Everything => return Some(Self::Everybody),
            Scope::Only(who) => who,
        };
        let mut only: Vec<(RoleId, Wanted)> = Vec::new();
        for looser in who {
            let (role, client) = match looser {
                Looser::Role(role) => (role, None),
                Looser::Member(role, client) => (role, Some(client)),
            };
            let known = only.iter_mut().find(|(other, _)| *other == role);
            match (known, client) {
                (Some((_, wanted)), None) => *wanted = Wanted::All,
                (Some((_, Wanted::These(clients))), Some(client)) => clients.push(client),
                (Some((_, Wanted::All)), Some(_)) => {}
                (None, None) => only.push((role, Wanted::All)),
                (None, Some(client)) => {
                    only.push((role, Wanted::These(SmallVec::from_slice(&[client]))));
                }
            }
        }
        Some(Self::Only(only))
    }

    /// The roles, if they are not all.
    pub(super) fn roles(&self) -> Option<impl Iterator<Item = RoleId> + '_> {
        match self {
            Self::Everybody => None,
            Self::Only(only) => Some(only.iter().map(|(role, _)| *role)),
        }
    }

    /// Which frameworks of a role are looked at, if any.
    pub(super) fn wanted(&self, role: RoleId) -> Option<&Wanted> {
        match self {
            Self::Everybody => Some(&Wanted::All),
            Self::Only(only) => only.iter().find(|(other, _)| *other == role).map(|(_, all)| all),
        }
    }
}
