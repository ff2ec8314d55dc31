//! By what a backend is chosen.

/// How one of two backends that work is preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The lower product of latency and handshakes under way.
    #[default]
    P2cEwma = 0,
    /// Fewer handshakes under way.
    LeastPending = 1,
    /// None is: the first drawn, by weight.
    Random = 2,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::P2cEwma, Self::LeastPending, Self::Random];

    /// As flags and labels write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P2cEwma => "p2c-ewma",
            Self::LeastPending => "least-pending",
            Self::Random => "random",
        }
    }

    /// As the map `vips` holds it.
    pub const fn number(self) -> u32 {
        self as u32
    }
}
