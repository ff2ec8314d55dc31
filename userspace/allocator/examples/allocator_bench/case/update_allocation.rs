//! `UpdateAllocation`: an agent with many labelled reservations; one framework takes its own
//! off and puts it on again.

use std::collections::BTreeMap;

use muster_allocator::{AgentOptions, Draw, FrameworkOptions, SorterKind};
use muster_resources::{Label, Operation, Resources};

use super::Variant;
use crate::Failure;
use crate::cluster::{Cluster, MULTI_ROLE, framework_id};
use crate::settings::Settings;
use crate::things::{labelled, parsed, reserved};
use crate::watch::Watch;

const ROUNDS: usize = 20;
const ROLES: [usize; 3] = [50, 100, 200];

pub(super) fn variants(_: &Settings) -> Vec<Variant> {
    let variant = |roles: usize| {
        Variant::new(format!("{roles} roles"), move |watch: &mut Watch| run(roles, watch))
    };
    ROLES.map(variant).into()
}

/// Letters by chance, as long as an id.
fn letters(draw: Draw) -> String {
    (0..36).map(|place| char::from(b'a' + (draw.of(place).number() % 26) as u8)).collect()
}

fn run(roles: usize, watch: &mut Watch) -> Result<(), Failure> {
    let mut cluster = Cluster::new(SorterKind::Drf);
    let (mut total, mut used) = (Resources::default(), BTreeMap::new());
    let each = parsed("cpus:100;mem:100;disk:100;ports:[2-2]")?;
    let draw = Draw::new(1);
    let mut own = None;
    for number in 0..roles {
        let role = format!("role-{}", letters(draw.of(number as u64)));
        let options = FrameworkOptions {
            roles: vec![role.clone()],
            capabilities: MULTI_ROLE,
            active: true,
            ..FrameworkOptions::default()
        };
        cluster.allocator.add_framework(&framework_id(number), options, BTreeMap::new())?;
        let mut part = Resources::default();
        for (place, resource) in each.iter().enumerate() {
            let value = letters(draw.of(number as u64).of(place as u64 + 1));
            let label = Label { key: "Label".to_owned(), value: Some(value) };
            part += reserved(&resource.clone().into(), &labelled(&role, vec![label]))?;
        }
        total += &part;
        used.insert(framework_id(number), part.clone().allocated_to(&role));
        own.get_or_insert((role, part));
    }
    let (role, part) = own.ok_or("there are no roles")?;
    let options = AgentOptions { hostname: "agent".to_owned(), total, ..AgentOptions::default() };
    cluster.allocator.add_agent("agent", options, used)?;
    let off = Operation::Unreserve(part.clone());
    let on = Operation::Reserve { resources: part.clone(), source: None };
    let framework = framework_id(0);
    for _ in 0..ROUNDS {
        watch.time("UNRESERVE", || {
            cluster.allocator.update_allocation(&framework, &role, "agent", &off)
        })?;
        watch.time("RESERVE", || {
            cluster.allocator.update_allocation(&framework, &role, "agent", &on)
        })?;
    }
    if cluster.allocator.allocation(&framework, &role, "agent") == part {
        return Ok(());
    }
    Err("something else is reserved than before".into())
}
