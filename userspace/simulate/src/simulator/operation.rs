//! Operations on what frameworks are offered or have.

use muster_resources::{Operation, Reservation, ReservationKind, Resource, Resources, Scalar};

use super::Simulator;
use crate::command::{Op, Transform};
use crate::error::{Problem, Refusal, at, refused};
use crate::place::Place;
use crate::stuff::Stuff;

const NAME: &str = "operation";

impl Simulator {
    pub(super) fn operate(&mut self, transform: Transform) -> Result<(), Refusal> {
        let Transform { framework, agent, role, op } = transform;
        let place = Place { framework, role, agent };
        self.check_known(NAME, &place)?;
        let (field, operation) = operation(op, &place.role)?;
        let field = format!("{NAME}.op.{field}");
        let conversions = operation.conversions().map_err(|error| {
            // The lists of Mesos' messages are not there in commands.
            let place = error.place.trim_end_matches(".resources").trim_end_matches(".volumes");
            at(format!("{NAME}.op.{place}"))(error.problem)
        })?;
        let mut consumed = Resources::default();
        for conversion in &conversions {
            consumed += conversion.consumed.clone().unallocated();
        }
        let offered = self.offers.get(&place).cloned().unwrap_or_default();
        let of_offer = offered.contains(&consumed);
        if !of_offer && !self.used(&place).contains(&consumed) {
            return Err(at(field)(Problem::NotThere {
                wanted: format!("{consumed:#}"),
                of: format!("what {place} is offered, nor in what its tasks use"),
                there: format!("{offered:#} and {:#}", self.used(&place)),
            }));
        }
        let mut after = offered;
        if of_offer {
            let steps: Vec<_> =
                conversions.into_iter().map(muster_resources::Conversion::unallocated).collect();
            after.convert_all(&steps).map_err(at(&field))?;
        }
        let Place { framework, role, agent } = &place;
        self.allocator
            .update_allocation(framework, role, agent, &operation)
            .map_err(|error| (field, refused(NAME, "framework")(error).1))?;
        if of_offer && !after.is_empty() {
            self.offers.insert(place, after);
        }
        Ok(())
    }
}

/// The operation, and the field that has it.
fn operation(op: Op, role: &str) -> Result<(&'static str, Operation), Refusal> {
    Ok(match op {
        Op::Reserve(stuff) => {
            let resources = reserved(&stuff, role).map_err(at(format!("{NAME}.op.reserve")))?;
            ("reserve", Operation::Reserve { resources, source: None })
        }
        Op::Unreserve(stuff) => {
            let resources = reserved(&stuff, role).map_err(at(format!("{NAME}.op.unreserve")))?;
            ("unreserve", Operation::Unreserve(resources))
        }
        Op::Create(volumes) => ("create", Operation::Create(volumes.0)),
        Op::Destroy(volumes) => ("destroy", Operation::Destroy(volumes.0)),
        Op::GrowVolume { volume, addition } => {
            ("grow_volume", Operation::GrowVolume { volume: volume.0, addition: addition.0 })
        }
        Op::ShrinkVolume { volume, subtract } => {
            let subtract = Scalar::from_f64(subtract)
                .map_err(at(format!("{NAME}.op.shrink_volume.subtract")))?;
            ("shrink_volume", Operation::ShrinkVolume { volume: volume.0, subtract })
        }
    })
}

/// The resources as they are when they are reserved: with a dynamic reservation to the role on
/// top, unless they have one already, which may say who made it.
fn reserved(stuff: &Stuff, role: &str) -> Result<Resources, muster_resources::Problem> {
    let is_reserved = |resource: &Resource| {
        let last = resource.details().reservations.last();
        last.is_some_and(|last| last.kind == ReservationKind::Dynamic && last.role == role)
    };
    let reserve = |resource: &Resource| {
        if is_reserved(resource) {
            return Ok(resource.clone());
        }
        resource.with_reservation(Reservation::dynamic(role))
    };
    stuff.0.iter().map(reserve).collect()
}
