//! Random clusters, and what happens to them.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use muster_allocator::{
    AgentOptions, FrameworkCapabilities, FrameworkOptions, Options, Quota, SorterKind,
};
use muster_resources::{
    Details, Disk, Limits, Quantities, Reservation, Resource, Resources, Scalar, Source,
    SourceKind, Value,
};
use proptest::prelude::*;

/// A cluster, and what happens to it.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) options: Options,
    pub(crate) agents: Vec<AgentOptions>,
    pub(crate) frameworks: Vec<Framework>,
    pub(crate) weights: Vec<(String, f64)>,
    pub(crate) quotas: Vec<(String, Quota)>,
    pub(crate) steps: Vec<Step>,
}

/// A framework, and what it does with offers.
#[derive(Clone)]
pub(crate) struct Framework {
    pub(crate) options: FrameworkOptions,
    /// What one task of it takes.
    pub(crate) task: Resources,
}

/// What happens. Numbers are what choices are drawn from.
#[derive(Clone)]
pub(crate) enum Step {
    /// A cycle over all agents; then frameworks answer.
    Cycle(u64),
    /// Some tasks end.
    End(u64),
    /// Offers that have not been answered are given back.
    Rescind,
    AddAgent(AgentOptions),
    RemoveAgent(usize),
    AddFramework(Framework),
    RemoveFramework(usize),
    Suppress(usize),
    Revive(usize),
    Weight(String, f64),
    Quota(String, Quota),
    Wait(Duration),
}

/// In few words: there are hundreds of agents.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { seed, role_sorter, framework_sorter, .. } = &self.options;
        writeln!(
            f,
            "seed {seed}, {role_sorter:?}, {framework_sorter:?}, weights {:?}",
            self.weights
        )?;
        for agent in &self.agents {
            writeln!(f, "{:#}", agent.total)?;
        }
        let quotas = self.quotas.iter().cloned().map(|(role, quota)| Step::Quota(role, quota));
        f.debug_list().entries(&self.frameworks).entries(quotas).entries(&self.steps).finish()
    }
}

impl fmt::Debug for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tasks of {} in {:?}, {:?}",
            self.task, self.options.roles, self.options.capabilities
        )
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cycle(choice) => write!(f, "Cycle({choice})"),
            Self::End(choice) => write!(f, "End({choice})"),
            Self::Rescind => write!(f, "Rescind"),
            Self::AddAgent(options) => write!(f, "AddAgent({:#})", options.total),
            Self::RemoveAgent(which) => write!(f, "RemoveAgent({which})"),
            Self::AddFramework(framework) => write!(f, "AddFramework({framework:?})"),
            Self::RemoveFramework(which) => write!(f, "RemoveFramework({which})"),
            Self::Suppress(which) => write!(f, "Suppress({which})"),
            Self::Revive(which) => write!(f, "Revive({which})"),
            Self::Weight(role, weight) => write!(f, "Weight({role}, {weight})"),
            Self::Quota(role, Quota { guarantees, limits }) => {
                write!(f, "Quota({role}, {guarantees}, limits {limits})")
            }
            Self::Wait(time) => write!(f, "Wait({time:?})"),
        }
    }
}

/// How wild it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Everything is for everybody, in any amount, and can be cut anywhere.
    Calm,
    /// There are all kinds of resources and frameworks.
    Wild,
}

/// Roles up to three deep; the last two of the topmost have none below them.
pub(crate) fn role(number: u8) -> String {
    let (top, below) = (number % 5, number / 5);
    match below {
        _ if is_flat(&format!("r{top}")) => format!("r{top}"),
        0 => format!("r{top}"),
        1 | 2 => format!("r{top}/s{below}"),
        _ => format!("r{top}/s{}/t{}", below % 3, below % 2),
    }
}

/// Whether a role without slashes is one that never has others below it.
pub(crate) fn is_flat(top: &str) -> bool {
    ["r3", "r4"].contains(&top)
}

fn any_role() -> impl Strategy<Value = String> {
    (0..40_u8).prop_map(role)
}

pub(crate) fn scalar(name: &str, amount: i64) -> Resource {
    Resource::new(name, Value::Scalar(Scalar::from_thousandths(amount)))
}

fn agent(weather: Weather) -> impl Strategy<Value = AgentOptions> {
    let kinds = if weather == Weather::Wild { 0..18_u8 } else { 17..18 };
    (1..64_000_i64, 100..256_000_i64, 0..50_000_i64, kinds, 0..40_u8).prop_map(
        |(cpus, mem, disk, kind, for_role)| {
            let plain = [scalar("cpus", cpus), scalar("mem", mem), scalar("disk", disk)];
            let mut total: Resources = plain.into_iter().collect();
            let reserved = vec![Reservation::fixed(role(for_role))];
            let with = |amount, details| scalar("disk", amount).with_details(details);
            match kind {
                0 | 1 => total.add(
                    scalar("cpus", 1500)
                        .with_details(Details { reservations: reserved, ..Details::default() }),
                ),
                2 => total.add(scalar("gpus", 2000)),
                3 => total.add(with(40_000, Details { disk: Some(mount()), ..Details::default() })),
                4 => total.add(
                    scalar("cpus", 3000)
                        .with_details(Details { revocable: true, ..Details::default() }),
                ),
                5 => total.add(with(
                    10_000,
                    Details {
                        reservations: reserved,
                        disk: Some(Disk {
                            persistence: Some("volume".to_owned()),
                            ..Disk::default()
                        }),
                        shared: true,
                        ..Details::default()
                    },
                )),
                6 | 7 => total += Resources::parse("ports:[31000-31009];zones:{a,b}").unwrap(),
                _ => {}
            }
            AgentOptions { total, ..AgentOptions::default() }
        },
    )
}

fn mount() -> Disk {
    let source = Source {
        kind: SourceKind::Mount,
        root: Some(Some("/mnt".to_owned())),
        id: None,
        metadata: None,
        profile: None,
        vendor: None,
    };
    Disk { source: Some(source), ..Disk::default() }
}

fn framework(weather: Weather) -> impl Strategy<Value = Framework> {
    let roles = prop::collection::btree_set(any_role(), 1..4);
    let bits = if weather == Weather::Wild { any::<u8>().boxed() } else { Just(63).boxed() };
    (roles, 10..8_000_i64, 10..40_000_i64, bits).prop_map(|(roles, cpus, mem, bits)| Framework {
        options: FrameworkOptions {
            roles: roles.into_iter().collect(),
            suppressed: BTreeSet::new(),
            capabilities: FrameworkCapabilities {
                gpu_resources: bits & 1 != 0,
                multi_role: bits & 2 != 0,
                reservation_refinement: bits & 4 != 0,
                revocable_resources: bits & 8 != 0,
                shared_resources: bits & 16 != 0,
                region_aware: bits & 32 != 0,
            },
            active: true,
            ..FrameworkOptions::default()
        },
        task: [scalar("cpus", cpus), scalar("mem", mem)].into_iter().collect(),
    })
}

fn weight() -> impl Strategy<Value = (String, f64)> {
    (any_role(), 1..32_u8).prop_map(|(role, quarters)| (role, f64::from(quarters) / 4.0))
}

fn quota() -> impl Strategy<Value = (String, Quota)> {
    // From a few agents to half of the cluster.
    let amount = |most: i64| prop::option::weighted(0.6, prop_oneof![0..most, 0..most * 10]);
    let amounts = move || (amount(400_000), amount(2_000_000));
    (0..5_u8, amounts(), amounts()).prop_map(|(top, guarantees, limits)| {
        let named = |(cpus, mem): (Option<i64>, Option<i64>)| {
            let scalar = |name: &str, amount: Option<i64>| {
                amount.map(|amount| (name.into(), Scalar::from_thousandths(amount)))
            };
            [scalar("cpus", cpus), scalar("mem", mem)].into_iter().flatten().collect::<Vec<_>>()
        };
        let guarantees = Quantities::from_iter(named(guarantees));
        let mut most = Limits::default();
        for (name, limit) in named(limits) {
            // Nobody is promised more than it may have.
            let limit = limit.max(guarantees.get(&name));
            most.set(name, limit);
        }
        (format!("r{top}"), Quota { guarantees, limits: most })
    })
}

fn step(weather: Weather) -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<u64>().prop_map(Step::Cycle),
        4 => any::<u64>().prop_map(Step::End),
        1 => Just(Step::Rescind),
        2 => agent(weather).prop_map(Step::AddAgent),
        1 => any::<usize>().prop_map(Step::RemoveAgent),
        2 => framework(weather).prop_map(Step::AddFramework),
        1 => any::<usize>().prop_map(Step::RemoveFramework),
        1 => any::<usize>().prop_map(Step::Suppress),
        1 => any::<usize>().prop_map(Step::Revive),
        1 => weight().prop_map(|(role, weight)| Step::Weight(role, weight)),
        1 => quota().prop_map(|(role, quota)| Step::Quota(role, quota)),
        1 => (1..20_u64).prop_map(|seconds| Step::Wait(Duration::from_secs(seconds))),
    ]
}

fn sorter() -> impl Strategy<Value = SorterKind> {
    prop_oneof![4 => Just(SorterKind::Drf), 1 => Just(SorterKind::Random)]
}

pub(crate) fn plan(weather: Weather) -> impl Strategy<Value = Plan> {
    let options = (any::<u64>(), sorter(), sorter()).prop_map(
        move |(seed, role_sorter, framework_sorter)| {
            let mut options = Options { seed, role_sorter, framework_sorter, ..Options::default() };
            if weather == Weather::Calm {
                options.min_allocatable.clear();
            }
            options
        },
    );
    let agents = prop::collection::vec(agent(weather), 100..300);
    let frameworks = prop::collection::vec(framework(weather), 1..30);
    let weights = prop::collection::vec(weight(), 0..8);
    let quotas = prop::collection::vec(quota(), 0..4);
    let steps = prop::collection::vec(step(weather), 4..16);
    (options, agents, frameworks, weights, quotas, steps).prop_map(
        |(options, agents, frameworks, weights, quotas, steps)| Plan {
            options,
            agents,
            frameworks,
            weights,
            quotas,
            steps,
        },
    )
}
