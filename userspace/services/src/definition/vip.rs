//! `VIP_…` labels of ports: `<name or address>:<port>`.

use muster_network::vip::{self, Label};

use crate::reader::Field;

/// Refuses a label that asks for a virtual address in a way that cannot be given; all
/// other labels are of no concern here. The master reads them in the same way.
pub(super) fn check(key: &str, value: &Field<'_>) {
    if !vip::is_vip_key(key) {
        return;
    }
    let Some(text) = value.value().as_str() else { return };
    if let Err(error) = text.parse::<Label>() {
        value.refuse(format!("{error}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reader::Problems;

    fn errors(key: &str, value: &str) -> Vec<String> {
        let (value, problems) = (json!(value), Problems::default());
        check(key, &Field::root(&value, &problems));
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
        for bad in ["/nginx", "/nginx:0", "/:80", "127.0.0.1:80", "fe80::1:80", "[::1]:80"] {
            let reason = bad.parse::<Label>().unwrap_err().to_string();
            assert_eq!(errors("vip0", bad), [reason], "{bad}");
        }
    }
}
