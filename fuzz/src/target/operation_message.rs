//! Operations of frameworks and operators, and the resources in them, as messages.

use muster_api::mesos::offer;
use muster_resources::{Operation, Quantities, Resources};
use prost::Message as _;

use super::laws;

pub(crate) fn run(input: &[u8]) {
    let Ok(message) = offer::Operation::decode(input) else { return };
    let Ok(operation) = Operation::from_proto(&message) else { return };
    let Ok(conversions) = operation.conversions() else { return };
    // All that it needs is there, once.
    let all: Resources = conversions.iter().flat_map(|step| step.consumed.clone()).collect();
    laws::check(&all);
    let Ok(after) = all.apply(&operation) else { return };
    laws::check(&after);
    if laws::are_exact(&all) {
        assert_eq!(Quantities::of_scalars(&after), Quantities::of_scalars(&all), "{operation:?}");
    }
}
