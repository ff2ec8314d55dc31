//! Random calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use muster_allocator::{
    AgentCapabilities, AgentOptions, ConstraintLimits, Domain, FrameworkCapabilities,
    FrameworkOptions, OfferConstraints, Quota,
};
use muster_api::mesos::scheduler::attribute_constraint::predicate::{self, Predicate as Says};
use muster_api::mesos::scheduler::attribute_constraint::selector::{
    PseudoattributeType, Selector as Choice,
};
use muster_api::mesos::scheduler::attribute_constraint::{Predicate, Selector};
use muster_api::mesos::scheduler::offer_constraints::RoleConstraints;
use muster_api::mesos::scheduler::offer_constraints::role_constraints::Group;
use muster_api::mesos::scheduler::{self, AttributeConstraint};
use muster_api::mesos::{Attribute, value};
use muster_resources::{
    Details, Disk, Limits, Quantities, Reservation, Resource, Resources, Source, SourceKind, Value,
};
use proptest::prelude::*;

/// Something to do with both allocators.
#[derive(Clone)]
pub(crate) enum Call {
    AddAgent(u8, AgentOptions, Vec<(u8, u8, u8)>),
    UpdateAgent(u8, AgentOptions),
    /// Adds to what an agent has, if there is anything to add, and to what is used of it.
    Provide(u8, Resources, bool, Vec<(u8, u8, u8)>),
    RemoveAgent(u8),
    SetAgentActive(u8, bool),
    AddFramework(u8, FrameworkOptions),
    UpdateFramework(u8, FrameworkOptions),
    RemoveFramework(u8),
    SetFrameworkActive(u8, bool),
    Suppress(u8, Vec<u8>),
    Revive(u8, Vec<u8>),
    Weight(u8, u8),
    Quota(u8, Quota),
    Whitelist(Option<BTreeSet<u8>>),
    /// Gives back one of the offers or what tasks hold, or a part of it.
    Recover(usize, u8, Option<Duration>),
    /// Reserves, or makes or destroys a volume, with something of an offer, or removes it.
    Operate(usize, u8),
    Advance(Duration),
    Allocate,
    AllocateSome(Vec<u8>),
    /// Tasks of some frameworks, one after the other until there is no room. Each takes about
    /// half of some of what an agent has, or all of what cannot be cut.
    Fill(BTreeMap<u8, (u8, u8)>),
}

/// In few words: there are many of them when something goes wrong.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddAgent(id, options, used) => {
                write!(f, "AddAgent({id}, {}, used {used:?})", say_agent(options))
            }
            Self::UpdateAgent(id, options) => {
                write!(f, "UpdateAgent({id}, {})", say_agent(options))
            }
            Self::Provide(id, resources, adds, used) => {
                write!(f, "Provide({id}, {resources:#}, added {adds}, used {used:?})")
            }
            Self::RemoveAgent(id) => write!(f, "RemoveAgent({id})"),
            Self::SetAgentActive(id, active) => write!(f, "SetAgentActive({id}, {active})"),
            Self::AddFramework(id, options) => {
                write!(f, "AddFramework({id}, {})", say_framework(options))
            }
            Self::UpdateFramework(id, options) => {
                write!(f, "UpdateFramework({id}, {})", say_framework(options))
            }
            Self::RemoveFramework(id) => write!(f, "RemoveFramework({id})"),
            Self::SetFrameworkActive(id, active) => write!(f, "SetFrameworkActive({id}, {active})"),
            Self::Suppress(id, roles) => write!(f, "Suppress({id}, {roles:?})"),
            Self::Revive(id, roles) => write!(f, "Revive({id}, {roles:?})"),
            Self::Weight(number, weight) => write!(f, "Weight({}, {weight})", role(*number)),
            Self::Quota(number, quota) => {
                write!(f, "Quota({}, {}, limits {})", role(*number), quota.guarantees, quota.limits)
            }
            Self::Whitelist(hosts) => write!(f, "Whitelist({hosts:?})"),
            Self::Recover(which, part, refuse) => write!(f, "Recover({which}, {part}, {refuse:?})"),
            Self::Operate(which, kind) => write!(f, "Operate({which}, {kind})"),
            Self::Advance(time) => write!(f, "Advance({time:?})"),
            Self::Allocate => write!(f, "Allocate"),
            Self::AllocateSome(agents) => write!(f, "AllocateSome({agents:?})"),
            Self::Fill(tasks) => write!(f, "Fill({tasks:?})"),
        }
    }
}

fn say_agent(options: &AgentOptions) -> String {
    let knows = options.capabilities;
    format!(
        "{:#} on {} {}{}{}",
        options.total,
        options.hostname,
        if options.domain.is_some() { "far " } else { "" },
        if knows.multi_role { "" } else { "no multi_role " },
        if knows.hierarchical_role { "" } else { "no hierarchical_role" },
    )
}

fn say_framework(options: &FrameworkOptions) -> String {
    let c = options.capabilities;
    let knows = [
        ("gpu", c.gpu_resources),
        ("multi", c.multi_role),
        ("refined", c.reservation_refinement),
        ("revocable", c.revocable_resources),
        ("shared", c.shared_resources),
        ("region", c.region_aware),
    ];
    let knows: Vec<&str> =
        knows.iter().filter(|(_, knows)| *knows).map(|(name, _)| *name).collect();
    format!(
        "{:?} suppressed {:?} knows {knows:?} active {} minima {:?}",
        options.roles, options.suppressed, options.active, options.min_allocatable
    )
}

const ROLES: [&str; 8] = ["a", "a/b", "a/c", "a/b/d", "b", "b/e", "c", "*"];

pub(crate) fn role(number: u8) -> String {
    ROLES[usize::from(number) % ROLES.len()].to_owned()
}

fn roles() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set(0..8_u8, 1..4)
        .prop_map(|roles| roles.into_iter().map(role).collect())
}

fn special() -> impl Strategy<Value = Resource> {
    let disk = |amount: u32, details: Details| {
        Resource::new("disk", Value::parse(&amount.to_string()).unwrap().unwrap())
            .with_details(details)
    };
    let mount = |root: u32| Source {
        kind: SourceKind::Mount,
        root: Some(Some(format!("/mnt{root}"))),
        id: None,
        metadata: None,
        profile: None,
        vendor: None,
    };
    (0..7_u8, 1..4_u32, 0..7_u8).prop_map(move |(kind, amount, for_role)| {
        let reservations = vec![Reservation::dynamic(role(for_role))];
        let volume = Disk { persistence: Some("id".to_owned()), ..Disk::default() };
        match kind {
            0 => disk(
                amount * 40,
                Details {
                    disk: Some(Disk { source: Some(mount(amount)), ..Disk::default() }),
                    ..Details::default()
                },
            ),
            1 => disk(
                amount * 40,
                Details { disk: Some(volume), shared: true, reservations, ..Details::default() },
            ),
            2 => disk(
                amount * 40,
                Details { disk: Some(volume), shared: true, ..Details::default() },
            ),
            3 => disk(
                amount * 40,
                Details {
                    reservations: vec![Reservation::fixed("a"), Reservation::dynamic("a/b")],
                    ..Details::default()
                },
            ),
            4 => disk(amount * 40, Details { reservations, ..Details::default() }),
            5 => Resource::new("cpus", Value::parse(&amount.to_string()).unwrap().unwrap())
                .with_details(Details { revocable: true, ..Details::default() }),
            _ => Resource::new("gpus", Value::parse(&amount.to_string()).unwrap().unwrap()),
        }
    })
}

fn plain() -> impl Strategy<Value = Resources> {
    let part = (prop::sample::select(vec!["cpus", "mem", "disk"]), 0..8_u32, 0..24_u8);
    prop::collection::vec(part, 0..5).prop_map(|parts| {
        let text: Vec<String> = parts
            .into_iter()
            .filter(|(_, amount, _)| *amount > 0)
            .map(|(name, amount, for_role)| {
                let amount = if name == "cpus" { amount } else { amount * 20 };
                match for_role {
                    0..7 => format!("{name}({}):{amount}", role(for_role)),
                    _ => format!("{name}:{amount}"),
                }
            })
            .chain(["ports:[1-9]".to_owned()])
            .collect();
        Resources::parse(&text.join(";")).unwrap()
    })
}

fn total() -> impl Strategy<Value = Resources> {
    let special = prop_oneof![
        2 => Just(Vec::new()),
        1 => prop::collection::vec(special(), 1..3),
    ];
    (plain(), special).prop_map(|(plain, special)| {
        let mut total = plain;
        for resource in special {
            // A shared volume is there once.
            if !resource.is_shared() || total.count(&resource) == 0 {
                total.add(resource);
            }
        }
        total
    })
}

fn agent() -> impl Strategy<Value = AgentOptions> {
    (total(), 0..16_u8).prop_map(|(total, kind)| AgentOptions {
        hostname: format!("host{}", kind % 4),
        total,
        domain: (kind == 1).then(|| Domain { region: "far".to_owned(), zone: "z".to_owned() }),
        capabilities: AgentCapabilities {
            multi_role: kind != 2,
            hierarchical_role: kind != 3,
            reservation_refinement: true,
        },
        attributes: if kind % 3 == 0 { vec![rack()] } else { Vec::new() },
        unavailability: None,
    })
}

fn framework() -> impl Strategy<Value = FrameworkOptions> {
    (roles(), 0..6_u8, any::<u8>(), prop::bool::weighted(0.9), 0..12_u8, 0..12_u8).prop_map(
        |(roles, suppressed, bits, active, minima, constrained)| FrameworkOptions {
            suppressed: roles.iter().filter(|_| suppressed == 0).cloned().collect(),
            capabilities: FrameworkCapabilities {
                gpu_resources: bits & 1 != 0,
                multi_role: bits & 2 != 0,
                reservation_refinement: bits & 4 != 0,
                revocable_resources: bits & 8 != 0,
                shared_resources: bits & 16 != 0,
                region_aware: bits & 32 != 0,
            },
            active,
            min_allocatable: match minima {
                0 => [(roles[0].clone(), Vec::new())].into(),
                1 => [(roles[0].clone(), vec![Quantities::parse("disk:60").unwrap()])].into(),
                2 => [(roles[0].clone(), vec![Quantities::parse("ports:2").unwrap()])].into(),
                _ => BTreeMap::new(),
            },
            offer_constraints: constraints(&roles[0], constrained),
            roles,
        },
    )
}

/// For one role, sometimes: agents with a rack, or on the first hosts.
fn constraints(role: &str, kind: u8) -> OfferConstraints {
    let selector = match kind {
        0 => Choice::AttributeName("rack".to_owned()),
        1 => Choice::PseudoattributeType(PseudoattributeType::Hostname.into()),
        _ => return OfferConstraints::default(),
    };
    let predicate = match kind {
        0 => Says::Exists(predicate::Exists {}),
        _ => Says::TextMatches(predicate::TextMatches { regex: "host[0-1]".to_owned() }),
    };
    let constraint = AttributeConstraint {
        selector: Selector { selector: Some(selector) },
        predicate: Predicate { predicate: Some(predicate) },
    };
    let group = Group { attribute_constraints: vec![constraint] };
    let role_constraints = [(role.to_owned(), RoleConstraints { groups: vec![group] })].into();
    let message = scheduler::OfferConstraints { role_constraints };
    OfferConstraints::from_proto(&message, ConstraintLimits::default()).unwrap()
}

fn rack() -> Attribute {
    let text = Some(value::Text { value: "1".to_owned() });
    let mut rack = Attribute { name: "rack".to_owned(), text, ..Attribute::default() };
    rack.set_type(value::Type::Text);
    rack
}

fn quota() -> impl Strategy<Value = Quota> {
    let amounts = |range: std::ops::Range<u32>| {
        (prop::option::of(range.clone()), prop::option::of(range)).prop_map(|(cpus, mem)| {
            let cpus = cpus.map(|cpus| format!("cpus:{cpus}"));
            let mem = mem.map(|mem| format!("mem:{}", mem * 20));
            cpus.into_iter().chain(mem).collect::<Vec<_>>().join(";")
        })
    };
    (amounts(0..6), amounts(0..12)).prop_map(|(guarantees, limits)| Quota {
        guarantees: Quantities::parse(&guarantees).unwrap(),
        limits: Limits::parse(&limits).unwrap(),
    })
}

fn refusal() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![
        2 => Just(None),
        1 => (0..40_u64).prop_map(|tenths| Some(Duration::from_millis(tenths * 100))),
        1 => Just(Some(Duration::from_hours(1))),
    ]
}

pub(crate) fn call() -> impl Strategy<Value = Call> {
    let (agents, frameworks) = (0..6_u8, 0..6_u8);
    let some_roles = || prop::collection::vec(0..8_u8, 0..3);
    let used = prop::collection::vec((frameworks.clone(), 0..8_u8, 0..3_u8), 0..3);
    prop_oneof![
        6 => (agents.clone(), agent(), used.clone()).prop_map(|(id, options, used)| Call::AddAgent(id, options, used)),
        1 => (agents.clone(), plain(), any::<bool>(), used).prop_map(|(id, resources, adds, used)| Call::Provide(id, resources, adds, used)),
        2 => (agents.clone(), agent()).prop_map(|(id, options)| Call::UpdateAgent(id, options)),
        1 => agents.clone().prop_map(Call::RemoveAgent),
        1 => (agents.clone(), any::<bool>()).prop_map(|(id, active)| Call::SetAgentActive(id, active)),
        6 => (frameworks.clone(), framework()).prop_map(|(id, options)| Call::AddFramework(id, options)),
        2 => (frameworks.clone(), framework()).prop_map(|(id, options)| Call::UpdateFramework(id, options)),
        1 => frameworks.clone().prop_map(Call::RemoveFramework),
        2 => (frameworks.clone(), any::<bool>()).prop_map(|(id, active)| Call::SetFrameworkActive(id, active)),
        2 => (frameworks.clone(), some_roles()).prop_map(|(id, roles)| Call::Suppress(id, roles)),
        2 => (frameworks.clone(), some_roles()).prop_map(|(id, roles)| Call::Revive(id, roles)),
        2 => (0..8_u8, 1..5_u8).prop_map(|(role, weight)| Call::Weight(role, weight)),
        3 => (0..8_u8, quota()).prop_map(|(role, quota)| Call::Quota(role, quota)),
        1 => prop::option::of(prop::collection::btree_set(0..4_u8, 0..4)).prop_map(Call::Whitelist),
        14 => (any::<usize>(), 0..4_u8, refusal()).prop_map(|(which, part, refuse)| Call::Recover(which, part, refuse)),
        3 => (any::<usize>(), 0..6_u8).prop_map(|(which, kind)| Call::Operate(which, kind)),
        6 => (1..30_u64).prop_map(|tenths| Call::Advance(Duration::from_millis(tenths * 100))),
        12 => Just(Call::Allocate),
        3 => prop::collection::vec(agents.clone(), 1..4).prop_map(Call::AllocateSome),
        2 => prop::collection::btree_map(frameworks, (agents, any::<u8>()), 1..5).prop_map(Call::Fill),
    ]
}
