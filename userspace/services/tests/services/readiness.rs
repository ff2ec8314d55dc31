//! Readiness checks: what a deployment waits for.

use std::time::Duration;

use muster_api::mesos::{
    Address, ContainerStatus, NetworkInfo, Offer, TaskState, TaskStatus, Url, network_info,
};
use muster_services::scheduler::{Answer, Input};
use serde_json::{Value, json};

use super::world::World;

fn app(check: Value) -> Value {
    json!({
        "id": "a", "cmd": "x", "portDefinitions": [{"name": "other"}, {"name": "http-api"}],
        "readinessChecks": [check],
    })
}

#[expect(clippy::unnecessary_wraps, reason = "what is fed to the core")]
fn answer(status: u16) -> Result<Answer, String> {
    Ok(Answer { status, content_type: "text/plain".into(), body: "so far".into() })
}

/// The only check that was to be made has found this.
fn checked(world: &mut World, result: Result<Answer, String>) {
    let [check] = &world.checks[..] else { panic!("{:?}", world.checks) };
    let instance = check.instance.clone();
    world.checks.clear();
    world.input(Input::Checked { instance, result });
}

fn results(world: &mut World) -> Value {
    world.deployments()[0]["currentActions"][0]["readinessCheckResults"].clone()
}

#[test]
fn a_deployment_waits_until_an_instance_is_ready() {
    let mut world = World::new();
    let check = json!({
        "name": "up", "path": "/v1/plan", "intervalSeconds": 5, "timeoutSeconds": 4,
        "httpStatusCodesForReady": [200, 201], "preserveLastResponse": true,
    });
    world.create(app(check));
    let task = world.launch(&["a1"]).remove(0);
    let port = world.app("a")["tasks"][0]["ports"][1].as_u64().unwrap();
    let [made] = &world.checks[..] else { panic!("{:?}", world.checks) };
    assert_eq!(made.url, format!("http://a1.example:{port}/v1/plan"));
    assert_eq!((made.timeout, made.whole), (Duration::from_secs(4), true));
    assert_eq!(results(&mut world), json!([]));
    checked(&mut world, answer(503));
    let expected = json!([{
        "name": "up", "taskId": task, "ready": false,
        "lastResponse": {"status": 503, "contentType": "text/plain", "body": "so far"},
    }]);
    assert_eq!(results(&mut world), expected);
    // Not before the interval is over.
    world.pass(Duration::from_millis(4_999));
    assert!(world.checks.is_empty());
    world.pass(Duration::from_millis(1));
    checked(&mut world, Err("connection refused".into()));
    let result = results(&mut world)[0].clone();
    assert_eq!(result["lastResponse"]["status"], 504);
    assert!(result["lastResponse"]["body"].as_str().unwrap().contains("connection refused"));
    world.pass(Duration::from_secs(5));
    checked(&mut world, answer(201));
    assert!(world.deployments().is_empty());
    // Once is enough.
    world.pass(Duration::from_secs(60));
    assert!(world.checks.is_empty());
}

#[test]
fn old_instances_stay_until_new_ones_are_ready_and_a_restart_forgets_nothing() {
    let mut world = World::new();
    world.create(app(json!({})));
    let old = world.launch(&["a1"]).remove(0);
    checked(&mut world, answer(200));
    assert!(world.deployments().is_empty());
    world.update_app("a", json!({"cmd": "y"}));
    let new = world.launch(&["a2"]).remove(0);
    assert!(world.killed().is_empty(), "the new one runs, and is not ready");
    checked(&mut world, answer(500));
    world.restart();
    world.update(&old, TaskState::TaskRunning);
    world.update(&new, TaskState::TaskRunning);
    assert!(world.killed().is_empty());
    checked(&mut world, answer(200));
    assert_eq!(world.killed(), [old]);
}

#[test]
fn health_and_readiness_are_both_needed() {
    let mut world = World::new();
    let mut body = app(json!({"protocol": "HTTPS", "portName": "other"}));
    body["healthChecks"] = json!([{"protocol": "MESOS_TCP"}]);
    world.create(body);
    let task = world.launch(&["a1"]).remove(0);
    assert!(world.checks[0].url.starts_with("https://a1.example:"));
    checked(&mut world, answer(200));
    assert_eq!(world.deployments().len(), 1);
    world.update_with(&task, TaskState::TaskRunning, |status| status.healthy = Some(true));
    assert!(world.deployments().is_empty());
}

/// An offer of an agent whose address the master knows.
fn located(world: &mut World, address: &str) -> Offer {
    let ip = Some(address.to_owned());
    let url = Url { address: Address { ip, ..Address::default() }, ..Url::default() };
    Offer { url: Some(url), ..world.plenty("a1") }
}

#[test]
fn a_host_port_is_asked_at_the_agents_address() {
    let mut world = World::new();
    world.create(app(json!({})));
    let offer = located(&mut world, "fd00::7");
    world.offer(vec![offer]);
    let task = world.tasks.keys().next().unwrap().clone();
    world.update_with(&task, TaskState::TaskRunning, |status| at(status, "172.17.0.2"));
    assert!(world.checks[0].url.starts_with("http://[fd00::7]:3"), "{:?}", world.checks);
}

/// The task has this address, says its agent.
fn at(status: &mut TaskStatus, address: &str) {
    let address = network_info::IpAddress { protocol: None, ip_address: Some(address.into()) };
    let network = NetworkInfo { ip_addresses: vec![address], ..NetworkInfo::default() };
    status.container_status =
        Some(ContainerStatus { network_infos: vec![network], ..ContainerStatus::default() });
}
