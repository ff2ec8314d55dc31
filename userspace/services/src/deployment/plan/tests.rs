use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::app::AppId;
use crate::instance::{Agent, Goal, Health, StopReason};

const NEW: Timestamp = Timestamp::from_millis(2);
const OLD: Timestamp = Timestamp::from_millis(1);

fn instance(number: u128, epoch: Timestamp, condition: Condition, host: &str) -> Instance {
    Instance {
        id: InstanceId::new(AppId::resolve("/a"), Uuid::from_u128(number)),
        version: epoch,
        epoch,
        agent: Agent {
            id: host.into(),
            host: host.into(),
            address: None,
            attributes: BTreeMap::new(),
            region: None,
            zone: None,
        },
        host_ports: Vec::new(),
        ip_addresses: Vec::new(),
        condition,
        goal: Goal::Running,
        staged_at: Timestamp::from_millis(i64::try_from(number).unwrap()),
        started_at: None,
        unreachable_since: None,
        max_failures: None,
        health: Health::default(),
        ready: None,
        last_update: String::new(),
        confirmed: true,
    }
}

fn running(count: u128, epoch: Timestamp) -> Vec<Instance> {
    (0..count).map(|number| instance(number, epoch, Condition::Running, "h")).collect()
}

fn desired(count: u32, replace: Option<UpgradeStrategy>) -> Desired<'static> {
    Desired {
        count,
        epoch: NEW,
        replace,
        selection: KillSelection::YoungestFirst,
        constraints: &[],
    }
}

fn planned(desired: &Desired<'_>, instances: &[Instance]) -> Plan {
    plan(desired, &instances.iter().collect::<Vec<_>>(), |_| false)
}

/// The numbers of the instances to stop.
fn stopped(plan: &Plan, instances: &[Instance]) -> Vec<usize> {
    let position = |id: &InstanceId| instances.iter().position(|i| i.id == *id).unwrap();
    plan.stop.iter().map(position).collect()
}

#[test]
fn the_youngest_or_the_oldest_go() {
    let instances = running(4, NEW);
    let two = planned(&desired(2, None), &instances);
    assert_eq!(stopped(&two, &instances), [3, 2]);
    let oldest = Desired { selection: KillSelection::OldestFirst, ..desired(2, None) };
    assert_eq!(stopped(&planned(&oldest, &instances), &instances), [0, 1]);
}

#[test]
fn those_that_do_not_run_go_first() {
    let conditions =
        [Condition::Running, Condition::Staging, Condition::Unreachable, Condition::Starting];
    let instances: Vec<_> = (0..)
        .zip(conditions)
        .map(|(number, condition)| instance(number, NEW, condition, "h"))
        .collect();
    assert_eq!(stopped(&planned(&desired(0, None), &instances), &instances), [2, 1, 3, 0]);
}

#[test]
fn groups_stay_even() {
    let constraints =
        [Constraint { field: "hostname".into(), operator: Operator::GroupBy, value: None }];
    let hosts = ["h1", "h1", "h1", "h2", "h3"];
    let instances: Vec<_> = (0..)
        .zip(hosts)
        .map(|(number, host)| instance(number, NEW, Condition::Running, host))
        .collect();
    let two_less = Desired { constraints: &constraints, ..desired(3, None) };
    assert_eq!(stopped(&planned(&two_less, &instances), &instances), [2, 1]);
}

#[test]
fn shares_that_are_not_exact_are_no_trap() {
    let strategy = |minimum, maximum| UpgradeStrategy {
        minimum_health_capacity: minimum,
        maximum_over_capacity: maximum,
    };
    assert_eq!(bounds(100, strategy(0.55, 0.1)), (55, 110));
    assert_eq!(bounds(3, strategy(0.5, 0.5)), (2, 4));
    assert_eq!(bounds(1, strategy(1.0, 0.0)), (1, 2));
    assert_eq!(bounds(1, strategy(0.0, 0.0)), (0, 1));
}

fn strategies() -> impl Strategy<Value = UpgradeStrategy> {
    (0..=10u32, 0..=10u32).prop_map(|(minimum, maximum)| UpgradeStrategy {
        minimum_health_capacity: f64::from(minimum) / 10.0,
        maximum_over_capacity: f64::from(maximum) / 10.0,
    })
}

proptest! {
    /// From any number of old instances an upgrade comes to its end, never with too few
    /// that are ready nor too many at all, in whatever order things happen.
    #[test]
    fn upgrades_end_and_keep_their_bounds(
        strategy in strategies(),
        count in 1..12u32,
        before in 0..12u128,
        choices in prop::collection::vec(any::<u8>(), 400),
    ) {
        let mut instances = running(before, OLD);
        let desired = desired(count, Some(strategy));
        let (least, most) = bounds(count as usize, strategy);
        let least = least.min(usize::try_from(before).unwrap());
        let most = most.max(usize::try_from(before).unwrap());
        let mut choices = choices.into_iter().cycle();
        let mut number = 100;
        for step in 0..2000 {
            let plan = planned(&desired, &instances);
            for id in &plan.stop {
                let stopped = instances.iter_mut().find(|i| i.id == *id).unwrap();
                stopped.goal = Goal::Stopped(StopReason::Upgrading);
            }
            let ready = instances.iter().filter(|i| i.is_wanted() && i.is_ready()).count();
            prop_assert!(ready >= least, "{} ready of {}", ready, least);
            if plan.done {
                prop_assert_eq!(instances.len(), count as usize);
                prop_assert!(instances.iter().all(|i| i.epoch == NEW && i.is_ready()));
                return Ok(());
            }
            prop_assert!(step < 1999, "no end");
            // One thing happens: one is launched, comes up, or ends.
            let choice = choices.next().unwrap();
            match choice % 3 {
                0 if plan.launch > 0 => {
                    number += 1;
                    instances.push(instance(number, NEW, Condition::Staging, "h"));
                }
                1 => {
                    let staging = instances.iter_mut().find(|i| i.condition == Condition::Staging);
                    if let Some(staging) = staging {
                        staging.condition = Condition::Running;
                    }
                }
                _ => {
                    if let Some(position) = instances.iter().position(|i| !i.is_wanted()) {
                        instances.remove(position);
                    }
                }
            }
            prop_assert!(instances.len() <= most, "{} of {}", instances.len(), most);
        }
    }

    /// Without an upgrade, one plan is enough to get the number right.
    #[test]
    fn the_number_comes_out_right(count in 0..20u32, there in 0..20u128) {
        let instances = running(there, OLD);
        let plan = planned(&desired(count, None), &instances);
        let after = instances.len() - plan.stop.len() + plan.launch as usize;
        prop_assert_eq!(after, count as usize);
        prop_assert_eq!(plan.done, instances.len() == count as usize);
    }
}
