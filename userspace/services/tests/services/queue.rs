//! The launch queue says what waits and why.

use std::time::Duration;

use serde_json::json;

use super::world::World;

#[test]
fn a_task_that_no_agent_can_take_says_why() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x", "cpus": 100, "mem": 100_000, "instances": 2}));
    world.pass(Duration::from_secs(3));
    let offers = vec![world.plenty("a1"), world.some("a2", 200.0, 64.0, (31_000, 31_010))];
    world.offer(offers);
    let again = world.plenty("a1");
    world.offer(vec![again]);
    let item = world.queue().remove(0);
    assert_eq!(item["count"], 2);
    assert_eq!(item["app"]["id"], "/a");
    assert_eq!(item["since"], "2026-01-01T00:00:00.000Z");
    assert_eq!(item["delay"], json!({"timeLeftSeconds": 0, "overdue": true}));
    let summary = &item["processedOffersSummary"];
    assert_eq!(summary["processedOffersCount"], 3);
    assert_eq!(summary["unusedOffersCount"], 3);
    assert_eq!(summary["lastUnusedOfferAt"], "2026-01-01T00:00:03.000Z");
    assert!(summary.get("lastUsedOfferAt").is_none());
    let step = |name: &str, reason: &str| {
        let steps = summary[name].as_array().unwrap();
        let step = steps.iter().find(|step| step["reason"] == reason).unwrap();
        (step["declined"].as_u64().unwrap(), step["processed"].as_u64().unwrap())
    };
    assert_eq!(step("rejectSummaryLastOffers", "UnfulfilledRole"), (0, 2));
    assert_eq!(step("rejectSummaryLastOffers", "InsufficientCpus"), (1, 2));
    assert_eq!(step("rejectSummaryLastOffers", "InsufficientMemory"), (1, 1));
    assert_eq!(step("rejectSummaryLastOffers", "InsufficientDisk"), (0, 0));
    assert_eq!(step("rejectSummaryLaunchAttempt", "InsufficientCpus"), (2, 3));
    let unused = item["lastUnusedOffers"].as_array().unwrap();
    assert_eq!(unused[0]["reason"], json!(["InsufficientCpus", "InsufficientMemory"]));
    assert_eq!(unused[1]["reason"], json!(["InsufficientMemory"]));
    let offer = &unused[0]["offer"];
    assert_eq!((&offer["agentId"], &offer["hostname"]), (&json!("a1"), &json!("a1.example")));
    assert_eq!(offer["resources"][0], json!({"name": "cpus", "role": "*", "scalar": 8.0}));
    let ports = json!({"name": "ports", "role": "*", "ranges": [{"begin": 31_000, "end": 32_000}]});
    assert_eq!(offer["resources"][3], ports);
}

#[test]
fn what_is_launched_leaves_the_queue() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x", "cpus": 5, "instances": 2}));
    world.launch(&["a1"]);
    let item = world.queue().remove(0);
    assert_eq!(item["count"], 1);
    assert_eq!(item["processedOffersSummary"]["unusedOffersCount"], 0);
    assert!(item["processedOffersSummary"]["lastUsedOfferAt"].is_string());
    world.launch(&["a2"]);
    assert!(world.queue().is_empty());
}

#[test]
fn ports_and_disk_have_their_reasons() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x", "disk": 20_000, "ports": [0, 0, 0]}));
    let offer = world.some("a1", 8.0, 8192.0, (31_000, 31_001));
    world.offer(vec![offer]);
    assert_eq!(
        world.queue()[0]["lastUnusedOffers"][0]["reason"],
        json!(["InsufficientDisk", "InsufficientPorts"])
    );
}
