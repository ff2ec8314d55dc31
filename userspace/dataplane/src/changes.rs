//! What was done to serve a view.

use std::collections::BTreeMap;

use crate::Skipped;

/// What [`DataPlane::reconcile`](crate::DataPlane::reconcile) did.
#[derive(Debug, Default)]
pub struct Changes {
    /// VIPs that were not there before.
    pub added: usize,
    /// VIPs whose backends changed.
    pub changed: usize,
    /// VIPs that are gone.
    pub removed: usize,
    /// VIPs that were already as the view says.
    pub unchanged: usize,
    /// How many system calls have changed each map of the kernel, by its name. Nothing of maps that
    /// were not changed.
    pub writes: BTreeMap<&'static str, u64>,
    /// What of the view could not be applied, and why.
    pub skipped: Vec<Skipped>,
}

// === impl Changes ===

impl Changes {
    /// True if nothing was changed in the kernel.
    pub fn is_empty(&self) -> bool {
        self.added == 0 && self.changed == 0 && self.removed == 0
    }
}
