use super::*;

fn key() -> Key {
    Key { address: "11.0.0.1".parse().unwrap(), port: 80, protocol: Protocol::Tcp }
}

fn view() -> View {
    View::new("e".into(), "10.0.0.100".parse().unwrap())
}

fn serving(port: u16, takes: bool) -> Claimant {
    let claim = Claim {
        key: key(),
        name: "web.marathon".into(),
        policy: None,
        weight: None,
        backend: Some(SocketAddr::new("10.0.0.1".parse().unwrap(), port)),
    };
    Claimant { claims: vec![claim], agent: "S0".into(), takes }
}

#[test]
fn a_delta_holds_what_changed_and_nothing_else() {
    let mut view = view();
    view.set_task("f/a", Some(serving(31000, true)));
    let delta = view.flush().unwrap();
    assert_eq!((delta.from, delta.to), (0, 1));
    assert_eq!(delta.vips_changed[0].backends[0].task_id, "a");
    view.set_task("f/a", Some(serving(31000, true)));
    assert_eq!(view.flush(), None);
    view.set_task("f/b", Some(serving(31001, true)));
    view.set_task("f/a", Some(serving(31000, false)));
    let delta = view.flush().unwrap();
    let backends: Vec<_> =
        delta.vips_changed[0].backends.iter().map(|b| (b.port, b.weight)).collect();
    assert_eq!(backends, [(31000, 0), (31001, 1)]);
    assert_eq!(view.snapshot().vips, delta.vips_changed);
}

#[test]
fn a_task_that_is_reached_nowhere_leaves_its_vip_without_a_backend() {
    let mut view = view();
    let mut nowhere = serving(31000, true);
    nowhere.claims[0].backend = None;
    view.set_task("f/a", Some(nowhere));
    assert_eq!(view.flush().unwrap().vips_changed[0].backends, []);
    // It is not forgotten while the task is there.
    view.expire(Duration::from_secs(10));
    view.expire(Duration::from_secs(1000));
    assert_eq!(view.flush(), None);
    view.set_task("f/a", Some(serving(31000, true)));
    assert_eq!(view.flush().unwrap().vips_changed[0].backends[0].port, 31000);
}

#[test]
fn weight_is_the_claims_while_its_task_takes_connections() {
    let mut view = view();
    let mut weight = |given, takes| {
        let mut claimant = serving(31000, takes);
        claimant.claims[0].weight = given;
        view.set_task("f/a", Some(claimant));
        view.flush().unwrap().vips_changed[0].backends[0].weight
    };
    assert_eq!(weight(None, true), 1);
    assert_eq!(weight(Some(7), true), 7);
    assert_eq!(weight(Some(7), false), 0);
    assert_eq!(weight(Some(0), true), 0);
}

#[test]
fn policy_is_that_of_the_first_task_that_wants_one() {
    let mut view = view();
    let mut wanted = |task: &str, policy, port| {
        let mut claimant = serving(port, true);
        claimant.claims[0].policy = policy;
        view.set_task(task, Some(claimant));
        view.flush().unwrap().vips_changed[0].policy.clone()
    };
    assert_eq!(wanted("f/a", None, 1), "");
    assert_eq!(wanted("f/c", Some(Policy::Random), 2), "random");
    assert_eq!(wanted("f/b", Some(Policy::Maglev), 3), "maglev");
    assert_eq!(wanted("f/d", Some(Policy::LeastPending), 4), "maglev");
    view.set_task("f/b", None);
    assert_eq!(view.flush().unwrap().vips_changed[0].policy, "random");
}

#[test]
fn an_empty_vip_lingers_then_goes() {
    let mut view = view();
    view.set_task("f/a", Some(serving(31000, true)));
    view.set_task("f/a", None);
    view.expire(Duration::from_secs(10));
    assert_eq!(view.flush().unwrap().vips_changed[0].backends, []);
    view.expire(Duration::from_secs(309));
    assert_eq!(view.flush(), None);
    view.expire(Duration::from_secs(310));
    assert_eq!(view.flush().unwrap().vips_removed, [wire_key(key())]);
    assert_eq!(view.snapshot().vips, []);
}

#[test]
fn a_task_that_comes_back_ends_the_wait() {
    let mut view = view();
    view.set_task("f/a", Some(serving(31000, true)));
    view.set_task("f/a", None);
    view.expire(Duration::from_secs(10));
    view.set_task("f/b", Some(serving(31001, true)));
    view.set_task("f/b", None);
    view.expire(Duration::from_secs(320));
    assert_eq!(view.snapshot().vips.len(), 1);
}

fn agent(id: &str, address: &str) -> AgentEntry {
    AgentEntry { agent_id: id.into(), hostname: id.into(), address: address.into() }
}

#[test]
fn vip_at_a_machines_address_is_not_served_whoever_comes_first() {
    let mut view = view();
    let at = |address: &str| {
        let mut claimant = serving(31000, true);
        claimant.claims[0].key.address = address.parse().unwrap();
        Some(claimant)
    };
    // The master's own.
    view.set_task("f/a", at("10.0.0.100"));
    assert_eq!(view.flush().unwrap().vips_changed, []);
    view.set_task("f/a", at("10.0.0.7"));
    let delta = view.flush().unwrap();
    assert_eq!(delta.vips_changed.len(), 1);
    view.set_agent(agent("S1", "10.0.0.7"));
    let delta = view.flush().unwrap();
    assert_eq!((delta.vips_changed.len(), delta.vips_removed.len()), (0, 1));
    view.set_task("f/b", at("10.0.0.7"));
    assert_eq!(view.flush().unwrap().vips_changed, []);
    assert_eq!(view.snapshot().vips, []);
    // Another machine has it for a while, too.
    view.set_agent(agent("S2", "10.0.0.7"));
    view.remove_agent("S1");
    view.flush();
    assert_eq!(view.snapshot().vips, []);
    view.set_agent(agent("S2", "10.0.0.8"));
    let delta = view.flush().unwrap();
    assert_eq!(delta.vips_changed[0].backends.len(), 2);
    assert_eq!(view.snapshot().vips, delta.vips_changed);
}

#[test]
fn tasks_out_of_reach_count_only_where_there_is_no_other() {
    let mut view = view();
    let ports = |delta: &ViewDelta| {
        delta.vips_changed[0].backends.iter().map(|b| b.port).collect::<Vec<_>>()
    };
    view.set_task("f/a", Some(serving(1, true)));
    view.set_task("f/b", Some(serving(2, true)));
    view.flush();
    view.strand("f/a");
    assert_eq!(ports(&view.flush().unwrap()), [2]);
    // The master is cut off from both.
    view.strand("f/b");
    assert!(view.is_stranded("f/a") && view.is_stranded("f/b"));
    assert_eq!(ports(&view.flush().unwrap()), [1, 2]);
    view.expire(Duration::from_secs(10));
    view.expire(Duration::from_secs(1000));
    assert_eq!(view.flush(), None);
    // One is back, the same as before.
    view.set_task("f/b", Some(serving(2, true)));
    assert_eq!(ports(&view.flush().unwrap()), [2]);
    view.strand("f/b");
    view.release(|task, claimant| task == "f/b" && claimant.agent == "S0");
    assert_eq!(ports(&view.flush().unwrap()), [1]);
    // Nothing is known of such a task.
    view.strand("f/c");
    assert!(!view.is_stranded("f/c"));
    view.release(|_, _| true);
    assert_eq!(ports(&view.flush().unwrap()), [0; 0]);
    assert_eq!(view.flush(), None);
}
