//! Versions: each change makes one, and it can be gone back to.

use muster_services::app::AppId;
use muster_services::request::Request;
use serde_json::json;

use super::deployments::{app, running};
use super::world::{World, json as body, put};

#[test]
fn going_back_to_a_version() {
    let mut world = running(1);
    let first = world.app("a")["version"].as_str().unwrap().to_owned();
    world.update_app("a", json!({"cmd": "y"}));
    world.launch(&["a1"]);
    world.bury();
    let back = |version: &str| put("a", json!({"version": version}));
    assert_eq!(world.ask(back("2001-01-01T00:00:00.000Z")).status, 404);
    assert_eq!(world.ask(back("yesterday")).status, 422);
    let both = world.ask(put("a", json!({"version": first, "cpus": 2})));
    assert_eq!(both.status, 422);
    assert_eq!(world.ask(back(&first)).status, 200);
    world.launch(&["a1"]);
    world.bury();
    let now = world.app("a");
    assert_eq!(now["cmd"], "x");
    assert_ne!(now["version"], first);
    let versions = body(world.ask(Request::ListVersions { id: AppId::resolve("a") }));
    assert_eq!(versions["versions"].as_array().unwrap().len(), 3);
    assert_eq!(versions["versions"][0], now["version"], "newest first");
    let version = Request::GetVersion { id: AppId::resolve("a"), version: first.clone() };
    let shown = body(world.ask(version));
    assert_eq!((&shown["cmd"], &shown["version"]), (&json!("x"), &json!(first)));
}

#[test]
fn an_update_that_changes_nothing_does_nothing() {
    let mut world = running(1);
    let before = world.app("a");
    let answer = world.update_app("a", json!({"cmd": "x", "instances": 1}));
    assert!(answer["deploymentId"].is_string());
    assert!(world.deployments().is_empty());
    assert_eq!(world.app("a"), before);
    // Also when all of it is sent back.
    world.update_app("a", {
        let mut sent = before.clone();
        sent.as_object_mut().unwrap().remove("version");
        sent
    });
    assert_eq!(world.app("a"), before);
    let whole = Request::UpdateApp {
        id: AppId::resolve("a"),
        body: app(1),
        force: false,
        partial: false,
        create: true,
    };
    assert_eq!(world.ask(whole).status, 200);
    assert_eq!(world.app("a"), before, "service ports that were chosen are kept");
}

#[test]
fn old_versions_are_dropped_unless_instances_run_them() {
    let mut config = muster_services::Config::new("here");
    config.max_versions = 3;
    let mut world = World::with(config);
    world.create(app(1));
    let first = world.launch(&["a1"]);
    for instances in 2..8 {
        world.update_app("a", json!({"instances": instances}));
        world.launch(&["a1"]);
    }
    world.update_app("a", json!({"instances": 1}));
    world.bury();
    for instances in [0, 1, 0, 1] {
        if instances == 0 {
            continue;
        }
        world.update_app("a", json!({"labels": {"n": "1"}, "instances": 1}));
    }
    let versions = |world: &mut World| {
        let reply = world.ask(Request::ListVersions { id: AppId::resolve("a") });
        body(reply)["versions"].as_array().unwrap().len()
    };
    assert!(versions(&mut world) <= 3 + first.len());
    let rows = muster_store::Store::scan(&world.store, "services.versions").unwrap().len();
    assert_eq!(rows, versions(&mut world));
}
