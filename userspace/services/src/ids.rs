//! The core's only source of what looks random: seeded, so that a run can be repeated.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// Makes ids and picks ports. The same seed makes the same ones in the same order.
#[derive(Debug)]
pub struct IdSource {
    rng: ChaCha8Rng,
}

impl IdSource {
    /// Starts from `seed`. Two runs over one store must not share one: they would make
    /// the same ids.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { rng: ChaCha8Rng::from_seed(seed) }
    }

    /// A version 4 UUID (RFC 9562).
    pub fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A number below `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Port ranges are tiny against 2^64, so the bias of the remainder is nothing.
        self.rng.next_u64().checked_rem(bound).unwrap_or(0)
    }
}
