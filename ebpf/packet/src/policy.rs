//! By what a backend is chosen.

/// How one of two backends that work is preferred, or which one is a client's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The lower product of latency and handshakes under way.
    #[default]
    P2cEwma = 0,
    /// Fewer handshakes under way.
    LeastPending = 1,
    /// None is: the first drawn, by weight.
    Random = 2,
    /// None is drawn: each client has one and keeps it, by its hash value and the VIP's
    /// [Maglev table](crate::maglev).
    Maglev = 3,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::P2cEwma, Self::LeastPending, Self::Random, Self::Maglev];

    /// As flags and labels write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P2cEwma => "p2c-ewma",
            Self::LeastPending => "least-pending",
            Self::Random => "random",
            Self::Maglev => "maglev",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// As the map `vips` holds it.
    pub const fn number(self) -> u32 {
        self as u32
    }
}
