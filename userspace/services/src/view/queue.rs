//! The launch queue: what waits, and why.

use std::collections::BTreeMap;

use muster_api::mesos::{Attribute, Offer, Resource, value};
use serde_json::{Map, Value, json};

use super::app;
use crate::matching::Reason;
use crate::scheduler::{Delay, Launch};
use crate::timestamp::Timestamp;

/// One application in the queue. Marathon also gives its role here, which breaks the
/// `marathon` Python client; it is in the application.
pub(crate) fn describe(
    launch: &Launch,
    delay: Option<&Delay>,
    with_offers: bool,
    now: Timestamp,
) -> Value {
    let left = delay.map_or(0, |delay| delay.until.since(now).as_millis().div_ceil(1000));
    let offers = &launch.offers;
    let mut last: BTreeMap<Reason, u64> = BTreeMap::new();
    for first in offers.last.values().filter_map(|unused| unused.reasons.iter().min()) {
        *last.entry(*first).or_default() += 1;
    }
    let mut summary = json!({
        "processedOffersCount": offers.processed,
        "unusedOffersCount": offers.unused,
        "rejectSummaryLastOffers": funnel(offers.last.len() as u64, &last),
        "rejectSummaryLaunchAttempt": funnel(offers.processed, &offers.reasons),
    });
    for (name, at) in
        [("lastUnusedOfferAt", offers.last_unused_at), ("lastUsedOfferAt", offers.last_used_at)]
    {
        if let Some(at) = at {
            summary[name] = at.to_string().into();
        }
    }
    let mut item = json!({
        "app": app::definition(&launch.app),
        "count": launch.count,
        "delay": { "timeLeftSeconds": u64::try_from(left).unwrap_or(u64::MAX), "overdue": left == 0 },
        "since": launch.since.to_string(),
        "processedOffersSummary": summary,
    });
    if with_offers {
        let unused = offers.last.values().map(|unused| {
            let reasons: Vec<_> = unused.reasons.iter().map(|r| r.as_str()).collect();
            json!({
                "offer": offer(&unused.offer),
                "reason": reasons,
                "timestamp": unused.at.to_string(),
            })
        });
        item["lastUnusedOffers"] = unused.collect();
    }
    item
}

/// For each reason how many offers were looked at and how many failed, less those that
/// failed for a reason before it.
fn funnel(mut processed: u64, counts: &BTreeMap<Reason, u64>) -> Value {
    let step = |(name, reason): (&str, Option<Reason>)| {
        let declined = reason.and_then(|reason| counts.get(&reason)).copied().unwrap_or(0);
        let step = json!({ "reason": name, "declined": declined, "processed": processed });
        processed = processed.saturating_sub(declined);
        step
    };
    Reason::FUNNEL.into_iter().map(step).collect()
}

fn offer(offer: &Offer) -> Value {
    json!({
        "id": offer.id.value,
        "agentId": offer.agent_id.value,
        "hostname": offer.hostname,
        "resources": offer.resources.iter().map(resource).collect::<Vec<_>>(),
        "attributes": offer.attributes.iter().map(attribute).collect::<Vec<_>>(),
    })
}

fn resource(resource: &Resource) -> Value {
    let mut map = Map::new();
    map.insert("name".into(), json!(resource.name));
    let role = resource.reservations.last().and_then(|r| r.role.as_deref());
    map.insert("role".into(), json!(role.unwrap_or("*")));
    put_value(&mut map, resource.scalar.as_ref(), resource.ranges.as_ref(), resource.set.as_ref());
    Value::Object(map)
}

fn attribute(attribute: &Attribute) -> Value {
    let mut map = Map::new();
    map.insert("name".into(), json!(attribute.name));
    if let Some(text) = &attribute.text {
        map.insert("text".into(), json!(text.value));
    }
    let (scalar, ranges) = (attribute.scalar.as_ref(), attribute.ranges.as_ref());
    put_value(&mut map, scalar, ranges, attribute.set.as_ref());
    Value::Object(map)
}

fn put_value(
    map: &mut Map<String, Value>,
    scalar: Option<&value::Scalar>,
    ranges: Option<&value::Ranges>,
    set: Option<&value::Set>,
) {
    if let Some(scalar) = scalar {
        map.insert("scalar".into(), json!(scalar.value));
    }
    if let Some(ranges) = ranges {
        let range = |r: &value::Range| json!({ "begin": r.begin, "end": r.end });
        map.insert("ranges".into(), ranges.range.iter().map(range).collect());
    }
    if let Some(set) = set {
        map.insert("set".into(), json!(set.item));
    }
}
