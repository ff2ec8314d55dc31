//! Listing and killing tasks.

use muster_services::app::AppId;
use muster_services::reply::Body;
use muster_services::request::{Kill, Request};
use serde_json::json;

use super::world::{World, json as body};

fn three(world: &mut World) -> Vec<String> {
    world.create(json!({"id": "/g/a", "cmd": "x", "cpus": 0.1, "instances": 3}));
    world.launch(&["a1", "a2", "a3"])
}

#[test]
fn a_killed_task_is_replaced() {
    let mut world = World::new();
    let tasks = three(&mut world);
    let reply = world.ask(Request::KillAppTask {
        id: AppId::resolve("/g/a"),
        task: tasks[0].clone(),
        kill: Kill::default(),
    });
    assert_eq!(body(reply)["task"]["id"], tasks[0]);
    assert_eq!(world.bury(), [tasks[0].clone()]);
    assert_eq!(world.queue()[0]["count"], 1);
    assert_eq!(world.app("/g/a")["instances"], 3);
}

#[test]
fn killing_can_scale() {
    let mut world = World::new();
    let tasks = three(&mut world);
    let kill = Kill { scale: true, force: false };
    let ids = json!({"ids": [tasks[0], tasks[2]]});
    let reply = body(world.ask(Request::KillTasks { body: ids, kill }));
    assert!(reply["deploymentId"].is_string(), "{reply}");
    let mut killed = world.bury();
    killed.sort();
    let mut expected = vec![tasks[0].clone(), tasks[2].clone()];
    expected.sort();
    assert_eq!(killed, expected);
    assert_eq!(world.app("/g/a")["instances"], 1);
    assert!(world.deployments().is_empty() && world.queue().is_empty());
}

#[test]
fn tasks_of_one_host_are_killed() {
    let mut world = World::new();
    three(&mut world);
    let kill = |host: &str| Request::KillAppTasks {
        id: AppId::resolve("/g/a"),
        host: Some(host.into()),
        kill: Kill::default(),
    };
    let one = body(world.ask(kill("a2.example")))["tasks"].take();
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert_eq!(one[0]["host"], "a2.example");
    assert_eq!(world.killed().len(), 1);
    assert_eq!(body(world.ask(kill("nowhere")))["tasks"], json!([]));
    assert_eq!(body(world.ask(kill("*")))["tasks"].as_array().unwrap().len(), 3);
}

#[test]
fn unknown_tasks_and_applications_are_404() {
    let mut world = World::new();
    let tasks = three(&mut world);
    let kill = |app: &str, task: &str| Request::KillAppTask {
        id: AppId::resolve(app),
        task: task.into(),
        kill: Kill::default(),
    };
    assert_eq!(world.ask(kill("/b", &tasks[0])).status, 404);
    assert_eq!(world.ask(kill("/g/a", "nonsense")).status, 404);
    let missing = tasks[0].replace(|c: char| c.is_ascii_digit() && c != '1', "0");
    assert_eq!(world.ask(kill("/g/a", &missing)).status, 404);
    let ids = |ids: serde_json::Value| Request::KillTasks { body: ids, kill: Kill::default() };
    assert_eq!(world.ask(ids(json!({"ids": ["nonsense"]}))).status, 400);
    assert_eq!(world.ask(ids(json!({"ids": "x"}))).status, 422);
    assert_eq!(world.ask(ids(json!({}))).status, 422);
    assert_eq!(body(world.ask(ids(json!({"ids": [missing]}))))["tasks"], json!([]));
}

#[test]
fn tasks_are_listed_by_status_and_as_a_table() {
    let mut world = World::new();
    let tasks = three(&mut world);
    world.create(json!({"id": "b", "cmd": "x", "portDefinitions": []}));
    let offer = world.plenty("a9");
    world.offer(vec![offer]);
    let list = |world: &mut World, status: &[&str]| {
        let status = status.iter().map(|s| (*s).to_owned()).collect();
        let reply = body(world.ask(Request::ListTasks { status, text: false }));
        reply["tasks"].as_array().unwrap().len()
    };
    assert_eq!(list(&mut world, &[]), 4);
    assert_eq!(list(&mut world, &["running"]), 3);
    assert_eq!(list(&mut world, &["staging"]), 1);
    assert_eq!(list(&mut world, &["staging", "running"]), 4);
    let reply = world.ask(Request::ListTasks { status: vec![], text: true });
    let Body::Text(table) = reply.body else { panic!("{reply:?}") };
    let line = table.lines().find(|line| line.starts_with("g_a\t10000\t")).unwrap();
    assert_eq!(line.split('\t').count(), 2 + tasks.len());
    assert!(line.contains("a1.example:31"));
}

#[test]
fn the_tasks_json() {
    let mut world = World::new();
    let tasks = three(&mut world);
    let reply = world.ask(Request::ListAppTasks { id: AppId::resolve("/g/a"), text: false });
    let list = body(reply)["tasks"].take();
    let task = list.as_array().unwrap().iter().find(|task| task["id"] == tasks[0]).unwrap().clone();
    let version = world.app("/g/a")["version"].clone();
    assert_eq!(
        task,
        json!({
            "appId": "/g/a",
            "host": "a1.example",
            "id": tasks[0],
            "ipAddresses": [],
            "ports": task["ports"],
            "servicePorts": [10_000],
            "slaveId": "a1",
            "state": "TASK_RUNNING",
            "stagedAt": "2026-01-01T00:00:00.000Z",
            "startedAt": "2026-01-01T00:00:00.000Z",
            "version": version,
            "localVolumes": [],
            "role": "*",
        })
    );
    assert_eq!(task["ports"].as_array().unwrap().len(), 1);
}
