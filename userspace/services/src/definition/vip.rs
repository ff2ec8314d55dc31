//! `VIP_…` labels: `<name or address>:<port>`, and their policies.

use std::collections::BTreeMap;

use muster_network::vip::{Asked, LabelError};

use crate::reader::Object;

/// Refuses labels of a port that ask for a virtual address in a way that cannot be given; all
/// other labels are of no concern here. The master reads them in the same way.
pub(super) fn check(labels: &Object<'_>) {
    refuse(labels, &Asked::of(texts(labels)).refused);
}

/// The same of an application's labels, which has so many host ports: `VIP_PORT0` and its like.
pub(super) fn check_of_app(labels: &Object<'_>, ports: usize) {
    refuse(labels, &Asked::of_task(texts(labels), ports).refused);
}

fn texts<'a>(labels: &Object<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    labels.entries().into_iter().filter_map(|(key, value)| Some((key, value.value().as_str()?)))
}

fn refuse(labels: &Object<'_>, refused: &BTreeMap<String, LabelError>) {
    for (key, value) in labels.entries() {
        if let Some(error) = refused.get(key) {
            value.refuse(error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use muster_network::vip::Label;

    use super::*;
    use crate::reader::{Field, Problems};

    fn errors(key: &str, value: &str) -> Vec<String> {
        let (labels, problems) = (json!({ key: value }), Problems::default());
        check(&Field::root(&labels, &problems).object().unwrap());
        problems.into_list().into_iter().map(|problem| problem.error).collect()
    }

    #[test]
    fn what_the_master_can_give_is_accepted() {
        for good in
            ["/nginx:80", "a.b:65535", "10.0.0.1:1", "broker:9092", "fd01::1:80", "[fd01::1]:80"]
        {
            assert_eq!(errors("VIP_0", good), [""; 0], "{good}");
        }
        assert_eq!(errors("Vip_0", "anything"), [""; 0], "not a VIP label");
    }

    #[test]
    fn what_the_master_would_pass_over_is_refused_with_its_reason() {
        for bad in
            ["/nginx", "/nginx:0", "/:80", "127.0.0.1:80", "fe80::1:80", "[::1]:80", "11.0.0.5:80"]
        {
            let reason = bad.parse::<Label>().unwrap_err().to_string();
            assert_eq!(errors("vip0", bad), [reason], "{bad}");
        }
    }
}
