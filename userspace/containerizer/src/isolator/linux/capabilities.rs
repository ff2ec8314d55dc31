//! `linux/capabilities`: what root may do in a container. Docker's set.

use crate::Error;
use crate::capability::{self, CapabilitySet};
use crate::isolator::{Draft, Isolator, Request};

/// The isolator.
pub(in crate::isolator) struct Capabilities;

impl Isolator for Capabilities {
    fn prepare(&self, _request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        draft.capabilities(capability::Capabilities {
            effective: CapabilitySet::DOCKER,
            bounding: CapabilitySet::DOCKER,
        })
    }
}
