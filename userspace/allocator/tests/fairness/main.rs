//! What is proven of dominant resource fairness, of the allocator's progressive filling.
//!
//! The setting is that of the proofs (Ghodsi et al., NSDI 2011, section 4 and appendix): one
//! machine, frameworks that want any number of tasks of one kind, each of which takes
//! something of every resource, and shares by weight. The paper proves its properties for
//! tasks that can be divided at will. With whole tasks no way of sharing has them all (Parkes,
//! Procaccia, Shah, EC 2012), so each test says how much of a task, and whose, may be lacking,
//! and why: the bounds are exact consequences of the order, not what happened to come out.
//!
//! The letters: framework i gets x_i tasks of which each has the dominant share s_i, and has
//! the weight w_i. As long as everybody's task fits, whoever is served has the smallest
//! x_i s_i / w_i; so nobody is ahead of anybody by more than one task of its own:
//!
//!   (1)  x_j s_j / w_j <= x_i s_i / w_i + s_j / w_j   for all i, j, until i's task fits no more
//!
//! and what i was refused for, some resource r, is then used up but for less than a task of i.
#![allow(clippy::unwrap_used, clippy::doc_markdown, reason = "a test that cannot go on fails")]

mod market;

use proptest::prelude::*;

use crate::market::{Market, as_number, market, number};

/// What rounding does to shares, at most: they are computed in doubles.
const ROUNDING: f64 = 1e-9;

proptest! {
    /// **Pareto efficiency**, exactly: nobody can have more without somebody having less. On
    /// one machine that is so if no task of anybody fits any more, since whatever gives
    /// somebody more and nobody less holds all tasks that there are, and one more.
    #[test]
    fn nobody_can_have_more_for_nothing(market in market()) {
        let tasks = market.fill();
        for framework in market.frameworks() {
            prop_assert!(!market.has_room(&tasks, framework), "{framework} fits beside {tasks:?}");
        }
    }

    /// **Sharing incentive**: everybody has at least what its part of the machine is worth,
    /// w_i of the sum W of all weights, less the same part of one task of each.
    ///
    /// When a task does not fit for the first time, for k, whose share by weight is m, then by
    /// (1) the machine is full with less than sum(m w_j + s_j), so that
    /// m > (1 - sum(s_j)) / W, and nobody has less than m w_i.
    #[test]
    fn sharing_is_no_worse_than_dividing_the_machine(market in market()) {
        let tasks = market.fill();
        let whole: f64 = market.weights.iter().sum();
        let round: f64 = market.frameworks().map(|j| market.task_share(j)).sum();
        for i in market.frameworks() {
            let share = as_number(tasks[i]) * market.task_share(i);
            let part = market.weights[i] / whole * (1.0 - round);
            prop_assert!(share > part - ROUNDING, "{i} has {share}, its part is {part}");
        }
    }

    /// The same against what dominant resource fairness gives for divisible tasks, which is
    /// never less than a part of the machine: nobody has less, but for the part of it that
    /// one task of each take of some resource.
    ///
    /// With m as above, and A_r what all together take of r for each unit of m, r is full
    /// with m A_r and a task of each; and no A_r is more than one by the divisible share.
    #[test]
    fn filling_gives_what_dividing_tasks_would(market in market()) {
        let tasks = market.fill();
        let divisible = market.divisible_share() * (1.0 - market.round_share());
        for i in market.frameworks() {
            let share = as_number(tasks[i]) * market.task_share(i) / market.weights[i];
            prop_assert!(share > divisible - ROUNDING, "{i} has {share}, not {divisible}");
        }
    }

    /// **Envy-freeness**: nobody would rather have what another has, by weight, except for
    /// less than one task of its own and one of the other.
    ///
    /// While i's task fits, what j has of i's dominant resource is by (1) worth at most
    /// x_i + s_j / s_i tasks of i for equal weights. Afterwards j gets less than i needs for
    /// one task of what i was refused for.
    #[test]
    fn nobody_envies_anybody(market in market()) {
        let tasks = market.fill();
        for i in market.frameworks() {
            for j in market.frameworks().filter(|j| *j != i) {
                let weight = market.weights[i] / market.weights[j];
                let worth = weight * Market::worth(tasks[j], &market.tasks[j], &market.tasks[i]);
                let slack = weight * (1.0 + market.task_share(j) / market.task_share(i));
                prop_assert!(
                    worth < as_number(tasks[i]) + slack + ROUNDING,
                    "{i} could run {worth} tasks with what {j} has, and has {}", tasks[i]
                );
            }
        }
    }

    /// **Strategy-proofness**: who says that it wants something else gets no more of what it
    /// wants, except for as much as one task can be: one as it says, and one of another's
    /// twice, once by share and once in what a task of its own needs least of.
    ///
    /// Be u what the liar gets, in tasks as it wants them, until anybody's task does not fit.
    /// Then the others have by (1) at least w_j / w_i (u s_i - s'_i), s'_i being the share of
    /// a task as it says, and when it tells the truth at most w_j / w_i x_i s_i + s_j when it
    /// is refused for r. Of that there is not more in one case than in the other, so that with
    /// A = sum(w_j / w_i d_jr / s_j) over all others, and d_ir of r for a task of i,
    ///
    ///   (u - x_i) (A s_i + d_ir) < A (max(s_j w_i / w_j) + s'_i) + d_ir.
    ///
    /// After that, it gets less than one task of another takes of something.
    #[test]
    fn lies_gain_nothing(
        market in market(), who in any::<prop::sample::Index>(),
        factors in prop::array::uniform4(prop_oneof![2 => Just(4_i64), 3 => 1..17_i64])
    ) {
        let i = who.index(market.tasks.len());
        let truth = &market.tasks[i];
        let x = as_number(market.fill()[i]);
        // In quarters, so that it may say less or more, of all or only of some.
        let says: Vec<i64> =
            truth.iter().zip(factors).map(|(amount, by)| (amount * by / 4).max(1)).collect();
        let lie = market.with_task(i, says.clone());
        let gets = lie.fill()[i];
        let u = Market::worth(gets, &says, truth).floor();
        let others = || market.frameworks().filter(|j| *j != i);
        let most = |of: &dyn Fn(usize) -> f64| others().map(of).fold(0.0, f64::max);
        let by_share = most(&|j| market.task_share(j) * market.weights[i] / market.weights[j]);
        let first = (by_share + lie.task_share(i)) / market.task_share(i);
        let then = most(&|j| {
            let parts = market.tasks[j].iter().zip(truth).map(|(of, own)| number(*of) / number(*own));
            parts.fold(0.0, f64::max)
        });
        prop_assert!(
            u < x + first.max(1.0) + then + ROUNDING,
            "{i} gets {u} instead of {x} when it says {says:?} instead of {truth:?}"
        );
    }
}
