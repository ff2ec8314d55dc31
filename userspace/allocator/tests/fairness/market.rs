//! One machine, and frameworks that each want tasks of one kind, as many as they can get.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_allocator::{AgentOptions, Allocator, FrameworkOptions, Options};
use muster_resources::{Resource, Resources, Scalar, Value};
use proptest::prelude::*;

const NAMES: [&str; 4] = ["cpus", "mem", "disk", "bandwidth"];

/// Amounts in thousandths, by the place in [`NAMES`].
pub(crate) type Vector = Vec<i64>;

/// The machine and who wants it.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    capacity: Vector,
    /// What a task of each framework takes: something of everything.
    pub(crate) tasks: Vec<Vector>,
    /// How much each framework counts.
    pub(crate) weights: Vec<f64>,
    /// Whether all frameworks are in one role, instead of each in its own. Then none counts
    /// more than another.
    in_one_role: bool,
}

/// Parts of the machine, in ten-thousandths: from half a thousandth to a twentieth.
fn part() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 5..200_i64, 1 => 200..500_i64]
}

pub(crate) fn market() -> impl Strategy<Value = Market> {
    let sizes = (2..9_usize, 1..=NAMES.len(), any::<bool>());
    sizes.prop_flat_map(|(frameworks, names, in_one_role)| {
        let capacity = prop::collection::vec(20_000..5_000_000_i64, names);
        let parts = prop::collection::vec(prop::collection::vec(part(), names), frameworks);
        let weight = if in_one_role { 1..2_u8 } else { 1..5_u8 };
        let weights = prop::collection::vec(weight, frameworks);
        (capacity, parts, weights).prop_map(move |(capacity, parts, weights)| Market {
            tasks: parts.iter().map(|parts| scaled(&capacity, parts)).collect(),
            weights: weights.into_iter().map(f64::from).collect(),
            capacity,
            in_one_role,
        })
    })
}

fn scaled(amounts: &[i64], parts: &[i64]) -> Vector {
    amounts.iter().zip(parts).map(|(amount, part)| (amount * part / 10_000).max(1)).collect()
}

fn resources(amounts: &[i64]) -> Resources {
    let resource = |(name, amount): (&&str, &i64)| {
        Resource::new(*name, Value::Scalar(Scalar::from_thousandths(*amount)))
    };
    NAMES.iter().zip(amounts).map(resource).collect()
}

impl Market {
    pub(crate) fn frameworks(&self) -> std::ops::Range<usize> {
        0..self.tasks.len()
    }

    /// The same with another kind of task that one framework says it wants.
    pub(crate) fn with_task(&self, framework: usize, task: Vector) -> Self {
        let mut other = self.clone();
        other.tasks[framework] = task;
        other
    }

    /// How many tasks each framework gets when the allocator fills the machine.
    pub(crate) fn fill(&self) -> Vec<u64> {
        let mut allocator = Allocator::new(Options::default());
        let total = resources(&self.capacity);
        let machine = AgentOptions { total, ..AgentOptions::default() };
        allocator.add_agent("machine", machine, BTreeMap::new()).unwrap();
        let mut demands = BTreeMap::new();
        for (framework, task) in self.tasks.iter().enumerate() {
            let id = format!("f{framework}");
            let role = if self.in_one_role { "all" } else { &id };
            allocator.update_weight(role, self.weights[framework]).unwrap();
            let options = FrameworkOptions {
                roles: vec![role.to_owned()],
                active: true,
                ..FrameworkOptions::default()
            };
            allocator.add_framework(&id, options, BTreeMap::new()).unwrap();
            demands.insert(id, resources(task));
        }
        let filling = allocator.fill(&demands).unwrap();
        // The allocator's own accounts say the same.
        for (framework, task) in self.tasks.iter().enumerate() {
            let id = format!("f{framework}");
            let role = if self.in_one_role { "all" } else { &id };
            let held = allocator.allocation(&id, role, "machine");
            let count = i64::try_from(filling.tasks[&id]).unwrap();
            let sum: Vector = task.iter().map(|amount| amount * count).collect();
            assert_eq!(held, resources(&sum));
        }
        assert!(allocator.allocate(Duration::ZERO).len() <= 1, "more than the rest was free");
        filling.tasks.values().copied().collect()
    }

    /// Whether the machine has room for one more task beside these.
    pub(crate) fn has_room(&self, tasks: &[u64], framework: usize) -> bool {
        (0..self.capacity.len()).all(|name| {
            let used: i64 = self
                .tasks
                .iter()
                .zip(tasks)
                .map(|(task, count)| task[name] * i64::try_from(*count).unwrap())
                .sum();
            used + self.tasks[framework][name] <= self.capacity[name]
        })
    }

    /// The largest part of the machine that one task of a framework takes.
    pub(crate) fn task_share(&self, framework: usize) -> f64 {
        self.parts(framework).fold(0.0, f64::max)
    }

    /// Which part of each resource one task of a framework takes.
    fn parts(&self, framework: usize) -> impl Iterator<Item = f64> + '_ {
        self.tasks[framework]
            .iter()
            .zip(&self.capacity)
            .map(|(task, all)| number(*task) / number(*all))
    }

    /// The largest part of any one resource that one task of each framework take together.
    pub(crate) fn round_share(&self) -> f64 {
        let sums = (0..self.capacity.len()).map(|name| {
            let sum: i64 = self.tasks.iter().map(|task| task[name]).sum();
            number(sum) / number(self.capacity[name])
        });
        sums.fold(0.0, f64::max)
    }

    /// The dominant share by weight that everybody has when tasks can be divided at will: as
    /// much as there is of what is most wanted then.
    pub(crate) fn divisible_share(&self) -> f64 {
        let wanted = (0..self.capacity.len()).map(|name| -> f64 {
            let of = |framework: usize| {
                let part = number(self.tasks[framework][name]) / number(self.capacity[name]);
                self.weights[framework] * part / self.task_share(framework)
            };
            self.frameworks().map(of).sum()
        });
        1.0 / wanted.fold(0.0, f64::max)
    }

    /// How many tasks of one kind could be made of so many of another.
    pub(crate) fn worth(count: u64, of: &[i64], task: &[i64]) -> f64 {
        let parts = of.iter().zip(task).map(|(of, task)| number(*of) / number(*task));
        as_number(count) * parts.fold(f64::INFINITY, f64::min)
    }
}

/// Small enough to be exact.
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
pub(crate) fn number(amount: i64) -> f64 {
    amount as f64
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
pub(crate) fn as_number(count: u64) -> f64 {
    count as f64
}
