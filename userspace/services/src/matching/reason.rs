//! Why an offer was not used.

/// One way in which an offer does not suit, in the order in which `/v2/queue` counts
/// them: an offer that fails in several ways counts for the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It holds nothing in an accepted role.
    UnfulfilledRole,
    /// Its agent breaks a constraint.
    UnfulfilledConstraint,
    /// Too little CPU.
    InsufficientCpus,
    /// Too little memory.
    InsufficientMemory,
    /// Too little disk.
    InsufficientDisk,
    /// A port is not there, or too few are.
    InsufficientPorts,
}

impl Reason {
    /// The name that `/v2/queue` shows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnfulfilledRole => "UnfulfilledRole",
            Self::UnfulfilledConstraint => "UnfulfilledConstraint",
            Self::InsufficientCpus => "InsufficientCpus",
            Self::InsufficientMemory => "InsufficientMemory",
            Self::InsufficientDisk => "InsufficientDisk",
            Self::InsufficientPorts => "InsufficientPorts",
        }
    }

    /// The order of counting as `/v2/queue` lists it: with Marathon's reasons that
    /// cannot occur here, as no reservations, drains or GPUs are looked at.
    pub const FUNNEL: [(&'static str, Option<Self>); 10] = [
        ("UnfulfilledRole", Some(Self::UnfulfilledRole)),
        ("UnfulfilledConstraint", Some(Self::UnfulfilledConstraint)),
        ("NoCorrespondingReservationFound", None),
        ("AgentMaintenance", None),
        ("InsufficientCpus", Some(Self::InsufficientCpus)),
        ("InsufficientMemory", Some(Self::InsufficientMemory)),
        ("InsufficientDisk", Some(Self::InsufficientDisk)),
        ("InsufficientGpus", None),
        ("InsufficientPorts", Some(Self::InsufficientPorts)),
        ("DeclinedScarceResources", None),
    ];
}
