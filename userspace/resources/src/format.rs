//! The forms in which reservations have been written down.

use muster_api::mesos;
use muster_api::mesos::resource::{ReservationInfo, reservation_info};

use crate::{Problem, Resource};

/// How a message says what a resource is reserved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `role`, and `reservation` if it is dynamic: all that frameworks and agents without
    /// the capability `RESERVATION_REFINEMENT` know.
    PreRefinement,
    /// `reservations`, a stack.
    PostRefinement,
    /// Both where that is possible: what operators are shown.
    Endpoint,
}

/// Brings a valid message into another form. Who made a static reservation cannot be said in
/// the form before refinement; there it is left out.
///
/// # Errors
/// [`Problem::Contradiction`] if a refined reservation cannot be said in the form; the
/// message is in the form with the stack then. What [`Resource::from_proto`] refuses.
#[expect(deprecated, reason = "old frameworks and agents speak it")]
pub fn convert(message: &mut mesos::Resource, format: Format) -> Result<(), Problem> {
    let stack =
        Resource::from_proto(message).map_err(|error| error.problem)?.to_proto().reservations;
    message.role = None;
    message.reservation = None;
    message.reservations = stack;
    if format == Format::PostRefinement {
        return Ok(());
    }
    match message.reservations.as_slice() {
        [] => message.role = Some("*".to_owned()),
        [only] => {
            message.role.clone_from(&only.role);
            if only.r#type() == reservation_info::Type::Dynamic {
                message.reservation = Some(ReservationInfo {
                    principal: only.principal.clone(),
                    labels: only.labels.clone(),
                    ..ReservationInfo::default()
                });
            }
            if format == Format::PreRefinement {
                message.reservations.clear();
            }
        }
        _ if format == Format::PreRefinement => {
            let problem = "a refined reservation cannot be told to who does not know refinements";
            return Err(Problem::Contradiction(problem.to_owned()));
        }
        _ => {}
    }
    Ok(())
}
