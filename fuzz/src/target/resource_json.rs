//! Resources as a JSON array of Mesos' messages.

use muster_resources::Resources;

use super::laws;

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(resources) = Resources::from_json(text) else { return };
    laws::check(&resources);
    // What an agent may be configured with is less.
    if let Ok(configured) = Resources::parse(text) {
        assert_eq!(configured, resources);
    }
}
