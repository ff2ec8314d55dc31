//! The agent that an offer comes from.

use muster_api::mesos::{Attribute, Offer, value};

use crate::instance::Agent;

impl Agent {
    /// The agent of `offer`.
    pub fn of(offer: &Offer) -> Self {
        let fault_domain = offer.domain.as_ref().and_then(|d| d.fault_domain.as_ref());
        Self {
            id: offer.agent_id.value.clone(),
            host: offer.hostname.clone(),
            address: offer.url.as_ref().and_then(|url| url.address.ip.clone()),
            attributes: offer.attributes.iter().map(|a| (a.name.clone(), text_of(a))).collect(),
            region: fault_domain.map(|d| d.region.name.clone()),
            zone: fault_domain.map(|d| d.zone.name.clone()),
        }
    }

    /// What constraints on `field` see of it.
    pub fn field(&self, field: &str) -> Option<&str> {
        match field {
            "hostname" | "@hostname" => Some(&self.host),
            "@region" => self.region.as_deref(),
            "@zone" => self.zone.as_deref(),
            name => self.attributes.get(name).map(String::as_str),
        }
    }
}

/// A number with at most three decimals, rounded half to even.
pub(crate) fn decimal(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// An attribute's value as Marathon writes it.
fn text_of(attribute: &Attribute) -> String {
    match attribute.r#type() {
        value::Type::Scalar => attribute.scalar.map_or(String::new(), |s| decimal(s.value)),
        value::Type::Text => {
            attribute.text.as_ref().map_or(String::new(), |text| text.value.clone())
        }
        value::Type::Ranges => {
            let ranges = attribute.ranges.iter().flat_map(|ranges| &ranges.range);
            let texts: Vec<_> = ranges.map(|r| format!("{}-{}", r.begin, r.end)).collect();
            format!("[{}]", texts.join(","))
        }
        value::Type::Set => {
            let mut items: Vec<_> =
                attribute.set.iter().flat_map(|set| &set.item).map(String::as_str).collect();
            items.sort_unstable();
            format!("{{{}}}", items.join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_decimals_at_most() {
        for (number, text) in
            [(1.0, "1"), (0.5, "0.5"), (1.0625, "1.062"), (1.1875, "1.188"), (10.0, "10")]
        {
            assert_eq!(decimal(number), text);
        }
    }

    #[test]
    fn every_kind_of_attribute_has_a_text() {
        let attribute = |r#type: value::Type| Attribute {
            name: "a".into(),
            r#type: r#type.into(),
            ranges: Some(value::Ranges { range: vec![value::Range { begin: 1, end: 5 }] }),
            set: Some(value::Set { item: vec!["b".into(), "a".into()] }),
            scalar: Some(value::Scalar { value: 2.0 }),
            text: Some(value::Text { value: "x".into() }),
        };
        let texts = [value::Type::Scalar, value::Type::Text, value::Type::Ranges, value::Type::Set]
            .map(|kind| text_of(&attribute(kind)));
        assert_eq!(texts, ["2", "x", "[1-5]", "{a,b}"]);
    }
}
