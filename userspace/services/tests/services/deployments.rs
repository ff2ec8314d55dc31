//! Deployments: steps, locks, rolling upgrades, going back.

use muster_services::app::AppId;
use muster_services::request::{Embed, Request};
use serde_json::{Value, json};

use super::world::{World, json as body, put};

pub(crate) fn app(instances: u32) -> Value {
    json!({"id": "a", "cmd": "x", "cpus": 0.1, "instances": instances})
}

pub(crate) fn running(instances: u32) -> World {
    let mut world = World::new();
    world.create(app(instances));
    while !world.deployments().is_empty() {
        world.launch(&["a1", "a2", "a3"]);
    }
    world
}

fn actions(world: &mut World) -> Vec<(String, String)> {
    let current = world.deployments()[0]["currentActions"].take();
    let text = |action: &Value, name: &str| action[name].as_str().unwrap().to_owned();
    current.as_array().unwrap().iter().map(|a| (text(a, "action"), text(a, "app"))).collect()
}

/// Versions of the tasks, each with how many there are.
fn versions(world: &mut World) -> Vec<usize> {
    let app = world.app("a");
    let current = app["version"].clone();
    let tasks = app["tasks"].as_array().unwrap();
    let new = tasks.iter().filter(|task| task["version"] == current).count();
    vec![tasks.len() - new, new]
}

#[test]
fn a_new_application_is_started_and_scaled() {
    let mut world = World::new();
    let created = world.create(app(2));
    assert_eq!(created["deployments"].as_array().unwrap().len(), 1);
    let deployment = world.deployments().remove(0);
    assert_eq!(
        deployment,
        json!({
            "id": created["deployments"][0]["id"],
            "version": created["version"],
            "affectedApps": ["/a"],
            "affectedPods": [],
            "steps": [
                {"actions": [{"action": "StartApplication", "app": "/a"}]},
                {"actions": [{"action": "ScaleApplication", "app": "/a"}]},
            ],
            "currentActions": [
                {"action": "ScaleApplication", "app": "/a", "readinessCheckResults": []},
            ],
            "currentStep": 2,
            "totalSteps": 2,
        })
    );
    assert_eq!(world.launch(&["a1"]).len(), 2);
    assert!(world.deployments().is_empty());
    assert_eq!(world.app("a")["deployments"], json!([]));
}

#[test]
fn scaling_up_and_down() {
    let mut world = running(2);
    let version = world.app("a")["version"].clone();
    let answer = world.update_app("a", json!({"instances": 4}));
    assert_eq!(actions(&mut world), [("ScaleApplication".into(), "/a".into())]);
    assert_eq!(world.deployments()[0]["id"], answer["deploymentId"]);
    world.launch(&["a1"]);
    let app = world.app("a");
    assert_eq!(app["version"], answer["version"]);
    assert_eq!(app["versionInfo"]["lastScalingAt"], answer["version"]);
    assert_eq!(app["versionInfo"]["lastConfigChangeAt"], version);
    world.update_app("a", json!({"instances": 1}));
    assert_eq!(world.bury().len(), 3);
    assert!(world.deployments().is_empty());
    assert_eq!(world.states("a").len(), 1);
}

#[test]
fn a_deployment_locks_its_applications() {
    let mut world = World::new();
    let created = world.create(app(1));
    let reply = world.ask(put("a", json!({"instances": 2})));
    assert_eq!(reply.status, 409);
    assert_eq!(
        body(reply),
        json!({
            "message": "App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.",
            "deployments": [{"id": created["deployments"][0]["id"]}],
        })
    );
    assert_eq!(world.app("a")["instances"], 1, "nothing has changed");
    let reply = world.ask(Request::UpdateApp {
        id: AppId::resolve("a"),
        body: json!({"instances": 2}),
        force: true,
        partial: true,
        create: true,
    });
    assert_eq!(reply.status, 200);
    assert_eq!(world.deployments().len(), 1, "in place of the other");
    world.create(json!({"id": "b", "cmd": "x"}));
    assert_eq!(world.deployments().len(), 2, "others are not locked");
}

#[test]
fn deleting_waits_for_the_tasks_to_end() {
    let mut world = running(2);
    let id = AppId::resolve("a");
    let reply = body(world.ask(Request::DeleteApp { id: id.clone(), force: true }));
    assert!(reply["deploymentId"].is_string());
    let gone = world.ask(Request::GetApp { id: id.clone(), embed: Embed::default() });
    assert_eq!(gone.status, 404);
    assert_eq!(actions(&mut world), [("StopApplication".into(), "/a".into())]);
    let reply = world.ask(Request::CreateApp { body: app(1), force: false });
    assert_eq!(reply.status, 409, "until then its name is locked");
    assert_eq!(world.bury().len(), 2);
    assert!(world.deployments().is_empty());
    world.create(app(1));
    assert_eq!(world.ask(Request::DeleteApp { id: AppId::resolve("b"), force: true }).status, 404);
}

#[test]
fn an_upgrade_starts_new_ones_before_it_stops_old_ones() {
    let mut world = running(3);
    world.update_app("a", json!({"cmd": "y"}));
    assert_eq!(actions(&mut world), [("RestartApplication".into(), "/a".into())]);
    assert!(world.killed().is_empty());
    assert_eq!(world.queue()[0]["count"], 3);
    world.launch(&["a1", "a2", "a3"]);
    assert_eq!(versions(&mut world), [3, 3]);
    assert_eq!(world.bury().len(), 3);
    assert_eq!(versions(&mut world), [0, 3]);
    assert!(world.deployments().is_empty());
}

#[test]
fn an_upgrade_keeps_within_its_bounds() {
    let mut world = World::new();
    let check = json!([{"protocol": "MESOS_TCP"}]);
    world.create(json!({
        "id": "a", "cmd": "x", "cpus": 0.1, "instances": 4, "healthChecks": check,
        "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.25},
    }));
    let heal = |world: &mut World, tasks: &[String]| {
        for task in tasks {
            world.update_with(task, muster_api::mesos::TaskState::TaskRunning, |status| {
                status.healthy = Some(true);
            });
        }
    };
    let tasks = world.launch(&["a1", "a2"]);
    heal(&mut world, &tasks);
    assert!(world.deployments().is_empty());
    world.update_app("a", json!({"cmd": "y"}));
    let mut rounds = 0;
    while !world.deployments().is_empty() {
        let app = world.app("a");
        let healthy = app["tasksHealthy"].as_u64().unwrap();
        let all = app["tasks"].as_array().unwrap().len();
        assert!(healthy >= 2 && all <= 5, "{healthy} healthy of {all}");
        world.bury();
        let started = world.launch(&["a1", "a2"]);
        let all = world.app("a")["tasks"].as_array().unwrap().len();
        assert!(all <= 5, "{all}");
        heal(&mut world, &started);
        rounds += 1;
        assert!(rounds < 20);
    }
    assert_eq!(versions(&mut world), [0, 4]);
}

#[test]
fn with_no_room_at_all_one_more_is_allowed() {
    let mut world = running(2);
    let strategy = json!({"minimumHealthCapacity": 1, "maximumOverCapacity": 0});
    world.update_app("a", json!({"upgradeStrategy": strategy}));
    let mut most = 0;
    for _ in 0..10 {
        world.launch(&["a1"]);
        most = most.max(world.states("a").len());
        world.bury();
    }
    assert_eq!(most, 3);
    assert_eq!(versions(&mut world), [0, 2]);
    assert!(world.deployments().is_empty());
}

#[test]
fn instances_that_are_not_healthy_are_replaced_first() {
    let mut world = running(3);
    let strategy = json!({"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0});
    let task = world.states("a")[1].0.clone();
    world.update(&task, muster_api::mesos::TaskState::TaskKilling);
    world.update_app("a", json!({"cmd": "y", "upgradeStrategy": strategy}));
    let killed = world.killed();
    assert_eq!(killed.len(), 1, "two must stay");
    assert_eq!(killed[0], task);
}

#[test]
fn an_upgrade_that_does_not_come_up_waits_and_can_be_taken_back() {
    let mut world = running(2);
    let before = world.states("a");
    let answer = world.update_app("a", json!({"cmd": "exit 1"}));
    for _ in 0..3 {
        world.pass(std::time::Duration::from_secs(60));
        let offer = world.plenty("a1");
        world.offer(vec![offer]);
        let staging = world.states("a").into_iter().filter(|(_, state)| state == "TASK_STAGING");
        for (task, _) in staging.collect::<Vec<_>>() {
            world.update(&task, muster_api::mesos::TaskState::TaskFailed);
        }
    }
    assert_eq!(world.states("a"), before, "the old ones are untouched");
    let id = answer["deploymentId"].as_str().unwrap().to_owned();
    let reply = world.ask(Request::CancelDeployment { id: id.clone(), force: false });
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(world.app("a")["cmd"], "x");
    assert!(world.killed().is_empty(), "and stay, being of the version gone back to");
    assert_eq!(world.states("a"), before);
    assert!(world.deployments().is_empty());
    assert_eq!(world.ask(Request::CancelDeployment { id, force: false }).status, 404);
}

#[test]
fn taking_back_a_creation_deletes_and_taking_back_a_deletion_creates() {
    let mut world = World::new();
    let created = world.create(app(1));
    let id = created["deployments"][0]["id"].as_str().unwrap().to_owned();
    world.ask(Request::CancelDeployment { id, force: false });
    let get = || Request::GetApp { id: AppId::resolve("a"), embed: Embed::default() };
    assert_eq!(world.ask(get()).status, 404);

    let mut world = running(1);
    let before = world.states("a");
    let reply = body(world.ask(Request::DeleteApp { id: AppId::resolve("a"), force: true }));
    let id = reply["deploymentId"].as_str().unwrap().to_owned();
    world.ask(Request::CancelDeployment { id, force: false });
    assert_eq!(world.ask(get()).status, 200);
    assert_eq!(world.bury(), [before[0].0.clone()], "what is being killed stays killed");
    world.launch(&["a1"]);
    assert!(world.deployments().is_empty());
}

#[test]
fn a_cancelled_deployment_stays_where_it_is() {
    let mut world = running(3);
    let answer = world.update_app("a", json!({"cmd": "y"}));
    let offer = world.some("a1", 0.1, 1000.0, (31_000, 31_100));
    world.offer(vec![offer]);
    let id = answer["deploymentId"].as_str().unwrap().to_owned();
    let reply = world.ask(Request::CancelDeployment { id, force: true });
    assert_eq!(reply.status, 202);
    assert!(world.deployments().is_empty());
    world.bury();
    assert_eq!(world.states("a").len(), 3);
    // What comes next makes up for it.
    world.update_app("a", json!({"instances": 4}));
    assert_eq!(actions(&mut world), [("RestartApplication".into(), "/a".into())]);
    while !world.deployments().is_empty() {
        world.launch(&["a1"]);
        world.bury();
    }
    assert_eq!(versions(&mut world), [0, 4]);
}

#[test]
fn restarting_replaces_everything() {
    let mut world = running(2);
    let before = world.states("a");
    let change = world.app("a")["versionInfo"]["lastConfigChangeAt"].clone();
    let restart = Request::RestartApp { id: AppId::resolve("a"), force: false };
    assert_eq!(world.ask(restart).status, 200);
    world.launch(&["a1"]);
    assert_eq!(world.bury().len(), 2);
    let after = world.states("a");
    assert!(after.iter().all(|task| !before.contains(task)) && after.len() == 2);
    assert_eq!(world.app("a")["versionInfo"]["lastConfigChangeAt"], change);
}

#[test]
fn several_applications_in_one_deployment() {
    let mut world = running(1);
    let apps = json!([
        {"id": "a", "instances": 2},
        {"id": "b", "cmd": "y", "cpus": 0.1},
    ]);
    let update = |body: Value, create: bool| Request::UpdateApps {
        body,
        force: false,
        partial: true,
        create,
    };
    let reply = world.ask(update(apps.clone(), false));
    assert_eq!(reply.status, 404, "PATCH makes none");
    assert_eq!(world.ask(update(apps, true)).status, 200);
    assert_eq!(world.deployments().len(), 1);
    assert_eq!(
        actions(&mut world),
        [("ScaleApplication".into(), "/a".into()), ("ScaleApplication".into(), "/b".into())]
    );
    world.launch(&["a1"]);
    assert!(world.deployments().is_empty());
    for (bad, path) in [
        (json!([{"instances": 2}]), "(0)/id"),
        (json!([{"id": "a"}, {"id": "/a"}]), "(1)/id"),
        (json!([{"id": "a"}, {"id": "c", "cmd": "x", "cpus": -1}]), "(1)/cpus"),
        (json!([7]), "(0)"),
        (json!({}), "/"),
    ] {
        let reply = world.ask(update(bad, true));
        assert_eq!(reply.status, 422);
        assert_eq!(body(reply)["details"][0]["path"], path);
    }
}

#[test]
fn an_application_is_no_group() {
    let mut world = running(1);
    let reply =
        world.ask(Request::CreateApp { body: json!({"id": "/a/b", "cmd": "x"}), force: false });
    assert_eq!(reply.status, 422);
    assert_eq!(body(reply)["details"][0]["path"], "/id");
    world.create(json!({"id": "/g/b", "cmd": "x"}));
    let reply = world.ask(put("/g", json!({"cmd": "x"})));
    assert_eq!(reply.status, 422);
}

#[test]
fn there_is_a_limit_to_deployments() {
    let mut config = muster_services::Config::new("here");
    config.max_running_deployments = 1;
    let mut world = World::with(config);
    world.create(json!({"id": "a", "cmd": "x"}));
    let create = Request::CreateApp { body: json!({"id": "b", "cmd": "x"}), force: false };
    assert_eq!(world.ask(create).status, 403);
}
