//! What holds of every cluster: of hundreds of agents, roles three deep, any weights, quota
//! and demands, whatever happens.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod books;
mod plan;
mod play;

use std::collections::BTreeMap;

use muster_allocator::{Draw, Grant};
use muster_resources::{Quantities, Resource, Resources};
use proptest::prelude::*;

use crate::books::is_in;
use crate::plan::{Plan, Step, Weather, is_flat, plan};
use crate::play::Play;

fn few() -> ProptestConfig {
    // Each case is a large cluster.
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 10, max_shrink_iters: 200, ..usual }
}

fn failed(error: String) -> TestCaseError {
    TestCaseError::fail(error)
}

fn say(grants: &[Grant]) -> Vec<String> {
    let say = |grant: &Grant| {
        let Grant { framework, role, agent, resources } = grant;
        format!("{framework} in {role} gets {resources:#} of {agent}")
    };
    grants.iter().map(say).collect()
}

fn sum(of: &BTreeMap<String, Quantities>) -> Quantities {
    let mut sum = Quantities::default();
    for quantities in of.values() {
        sum.add_all(quantities);
    }
    sum
}

/// No role that others are not below has more than its limit, unless it had before.
fn check_limits(play: &Play, before: &BTreeMap<String, Quantities>) -> Result<(), TestCaseError> {
    for (role, quota) in play.books.quotas.iter().filter(|(role, _)| is_flat(role)) {
        let consumed = play.books.consumed(role);
        for (name, limit) in quota.limits.iter() {
            let most = limit.max(before[role].get(name));
            prop_assert!(consumed.get(name) <= most, "{role} has {consumed} of {}", quota.limits);
        }
    }
    Ok(())
}

fn consumed(play: &Play) -> BTreeMap<String, Quantities> {
    play.books.quotas.keys().map(|role| (role.clone(), play.books.consumed(role))).collect()
}

proptest! {
    #![proptest_config(few())]

    /// No agent is ever given away twice over; what is offered, used and free is all that there
    /// is, of each agent and exactly; roles have what their frameworks have; and no role gets
    /// past its limits.
    #[test]
    fn offered_and_used_and_free_are_all_that_there_is(plan in plan(Weather::Wild)) {
        let mut play = Play::new(&plan, Weather::Wild);
        for step in &plan.steps {
            let before = consumed(&play);
            let is_cycle = matches!(step, Step::Cycle(_));
            if let Step::Cycle(choice) = step {
                let grants = play.allocate();
                play.books.check(&play.allocator).map_err(failed)?;
                check_limits(&play, &before)?;
                play.answer(&grants, *choice);
            } else {
                play.step(step);
            }
            if is_cycle || matches!(step, Step::End(_) | Step::RemoveAgent(_)) {
                play.books.check(&play.allocator).map_err(failed)?;
            }
        }
        play.step(&Step::Rescind);
        play.books.check(&play.allocator).map_err(failed)?;
    }

    /// The same seed and the same calls give the same grants, in the same order.
    #[test]
    fn the_same_seed_gives_the_same(plan in plan(Weather::Wild)) {
        let mut one = Play::new(&plan, Weather::Wild);
        let mut other = Play::new(&plan, Weather::Wild);
        for step in &plan.steps {
            prop_assert_eq!(say(&one.step(step)), say(&other.step(step)));
            prop_assert_eq!(one.allocator.shares(), other.allocator.shares());
        }
    }

    /// Quota is never starved while the cluster can satisfy it: if before a cycle there is as
    /// much free as all roles lack of their guarantees together, then afterwards no role whose
    /// frameworks want anything lacks something, and what others lack is still free. Otherwise,
    /// nothing that such a role lacks is free anywhere.
    ///
    /// That is so if nothing but quota stands in the way: frameworks refuse nothing and can use
    /// everything, resources can be cut anywhere, and an offer may be as small as it likes.
    #[test]
    fn guarantees_are_met_as_far_as_they_can_be(plan in plan(Weather::Calm)) {
        let mut play = Play::new(&plan, Weather::Calm);
        for step in &plan.steps {
            let Step::Cycle(choice) = step else {
                play.step(step);
                continue;
            };
            let (missing, free) = (play.books.missing(), play.books.free(&play.allocator));
            let is_enough = free.contains(&sum(&missing));
            let grants = play.allocate();
            let (missing, free) = (play.books.missing(), play.books.free(&play.allocator));
            for (role, missing) in missing.iter().filter(|(role, _)| play.is_wanted(role)) {
                if is_enough {
                    prop_assert!(missing.is_empty(), "{role} lacks {missing}, {free} is free");
                }
                for (name, _) in missing.iter() {
                    prop_assert!(free.get(name).is_zero(), "{role} lacks {missing} of {free}");
                }
            }
            if is_enough {
                let missing = sum(&missing);
                prop_assert!(free.contains(&missing), "{missing} is to be kept, {free} is free");
            }
            play.answer(&grants, *choice);
        }
    }

    /// Filling goes on until no task of anybody fits anywhere, and gives nobody what is not
    /// there, what is beyond its limits, or what is kept for the guarantees of others.
    #[test]
    fn filling_leaves_room_for_nobody(plan in plan(Weather::Wild)) {
        let mut play = Play::new(&plan, Weather::Wild);
        for step in &plan.steps {
            play.step(step);
        }
        play.step(&Step::Rescind);
        fill(&mut play, &plan)?;
    }
}

fn fill(play: &mut Play, plan: &Plan) -> Result<(), TestCaseError> {
    let before = consumed(play);
    let (missing, free) = (sum(&play.books.missing()), play.books.free(&play.allocator));
    let is_enough = free.contains(&missing);
    // Some want nothing, so that what their roles are promised stays free.
    let demands: BTreeMap<String, Resources> = play
        .frameworks
        .iter()
        .filter(|(id, _)| Draw::new(plan.options.seed).of_text(id).number().is_multiple_of(3))
        .map(|(id, framework)| (id.clone(), framework.task.clone()))
        .collect();
    let filling = play.allocator.fill(&demands).unwrap();
    for launch in &filling.launches {
        let place = (launch.framework.clone(), launch.role.clone(), launch.agent.clone());
        let task = launch.resources.clone().unallocated();
        prop_assert_eq!(&task, &demands[&launch.framework]);
        play.books.add(place.clone(), &task);
        play.books.launch(&place, &task);
    }
    play.books.check(&play.allocator).map_err(failed)?;
    check_limits(play, &before)?;
    for (id, count) in &filling.tasks {
        let launched = filling.launches.iter().filter(|launch| launch.framework == *id).count();
        prop_assert_eq!(u64::try_from(launched).unwrap(), *count);
    }
    let (missing, free) = (play.books.missing(), play.books.free(&play.allocator));
    let kept = sum(&missing);
    prop_assert!(!is_enough || free.contains(&kept), "{} is to be kept, {} is free", kept, free);
    // What could still be given to somebody without guarantees of its own, if anything is kept.
    let mut surplus = free;
    surplus.subtract_all(&kept);
    for (id, framework) in play.frameworks.iter().filter(|(id, _)| demands.contains_key(*id)) {
        for role in &framework.options.roles {
            if framework.options.suppressed.contains(role) {
                continue;
            }
            let wanted = Quantities::of(&framework.task);
            let quota = play.books.quotas.iter().find(|(top, _)| is_in(role, top));
            let is_allowed = quota.is_none_or(|(top, quota)| {
                let mut consumed = play.books.consumed(top);
                consumed.add_all(&wanted);
                quota
                    .limits
                    .iter()
                    .all(|(name, limit)| wanted.get(name).is_zero() || consumed.get(name) <= limit)
            });
            let mut burst = wanted;
            if let Some(own) = quota.and_then(|(top, _)| missing.get(top)) {
                burst.subtract_all(own);
            }
            let is_spare = kept.is_empty() || surplus.contains(&burst);
            if !(is_allowed && is_spare) {
                continue;
            }
            for agent in play.books.totals.keys() {
                let available = play.allocator.available(agent).unwrap();
                let has_gpus = !play.books.totals[agent].scalar("gpus").is_zero();
                let suits = framework.options.capabilities.gpu_resources || !has_gpus;
                let plain = available.filter(|entry: &&Resource| entry.is_plain());
                prop_assert!(
                    !(suits && plain.contains(&framework.task)),
                    "a task of {id} in {role} fits on {agent} under {:?}",
                    plan.quotas
                );
            }
        }
    }
    Ok(())
}
