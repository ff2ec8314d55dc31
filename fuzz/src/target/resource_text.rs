//! Resources, quantities, limits and values as people write them.

use muster_resources::{Limits, Quantities, Resource, Resources, Value};

use super::laws::{self, are_exact, is_exact};

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    if let Ok(resources) = Resources::parse(text) {
        laws::check(&resources);
        if resources.iter().all(Resource::is_text) && are_exact(&resources) {
            assert_eq!(Resources::parse(&resources.to_string()), Ok(resources));
        }
    }
    if let Ok(quantities) = Quantities::parse(text)
        && quantities.iter().all(|(_, amount)| is_exact(amount))
    {
        assert_eq!(Quantities::parse(&quantities.to_string()), Ok(quantities));
    }
    if let Ok(limits) = Limits::parse(text)
        && limits.iter().all(|(_, amount)| is_exact(amount))
    {
        assert_eq!(Limits::parse(&limits.to_string()), Ok(limits));
    }
    match Value::parse(text) {
        Ok(Some(Value::Scalar(amount))) if !is_exact(amount) => {}
        Ok(Some(value)) => assert_eq!(Value::parse(&value.to_string()), Ok(Some(value))),
        _ => {}
    }
}
