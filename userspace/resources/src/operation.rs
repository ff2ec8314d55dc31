//! Operations that turn resources into others.

use muster_api::mesos::offer;
use muster_api::mesos::offer::operation::Type;

use crate::{Error, Problem, Resource, Resources, Scalar, Value};

/// What a framework or an operator does to resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reserves them: adds the last reservation of each.
    Reserve {
        /// As they will be.
        resources: Resources,
        /// As they are; without, as they will be but for the last reservation.
        source: Option<Resources>,
    },
    /// Takes the last reservation off.
    Unreserve(Resources),
    /// Makes persistent volumes of disk space.
    Create(Resources),
    /// Makes disk space of persistent volumes.
    Destroy(Resources),
    /// Makes a persistent volume larger.
    GrowVolume {
        /// The volume.
        volume: Resource,
        /// The disk space that it takes in.
        addition: Resource,
    },
    /// Makes a persistent volume smaller.
    ShrinkVolume {
        /// The volume.
        volume: Resource,
        /// How much it loses.
        subtract: Scalar,
    },
}

/// One step of an operation: resources that go, and what comes in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// What goes.
    pub consumed: Resources,
    /// What comes.
    pub converted: Resources,
    /// What must not be there afterwards: another copy of a volume that is gone.
    pub last: Option<Resource>,
}

impl Conversion {
    /// A step without further conditions.
    pub fn new(consumed: Resources, converted: Resources) -> Self {
        Self { consumed, converted, last: None }
    }

    /// The same for resources that are not marked as allocated.
    #[must_use]
    pub fn unallocated(self) -> Self {
        Self {
            consumed: self.consumed.unallocated(),
            converted: self.converted.unallocated(),
            last: self.last.map(|last| last.with_allocation(None)),
        }
    }

    /// The same for resources allocated to a role.
    #[must_use]
    pub fn allocated_to(self, role: &str) -> Self {
        Self {
            consumed: self.consumed.allocated_to(role),
            converted: self.converted.allocated_to(role),
            last: self.last.map(|last| last.with_allocation(Some(role.into()))),
        }
    }
}

impl Operation {
    /// Reads the message of an operation on resources.
    ///
    /// # Errors
    /// What [`Resources::from_proto`] refuses, fields that are missing, and operations that
    /// launch tasks or that a resource provider carries out.
    pub fn from_proto(message: &offer::Operation) -> Result<Self, Error> {
        let missing = |field: &str| Problem::Missing.at(field);
        match message.r#type() {
            Type::Reserve => {
                let reserve = message.reserve.as_ref().ok_or_else(|| missing("reserve"))?;
                let source = Resources::from_proto(&reserve.source)?;
                Ok(Self::Reserve {
                    resources: Resources::from_proto(&reserve.resources)?,
                    source: (!source.is_empty()).then_some(source),
                })
            }
            Type::Unreserve => {
                let unreserve = message.unreserve.as_ref().ok_or_else(|| missing("unreserve"))?;
                Resources::from_proto(&unreserve.resources).map(Self::Unreserve)
            }
            Type::Create => {
                let create = message.create.as_ref().ok_or_else(|| missing("create"))?;
                Resources::from_proto(&create.volumes).map(Self::Create)
            }
            Type::Destroy => {
                let destroy = message.destroy.as_ref().ok_or_else(|| missing("destroy"))?;
                Resources::from_proto(&destroy.volumes).map(Self::Destroy)
            }
            Type::GrowVolume => {
                let grow = message.grow_volume.as_ref().ok_or_else(|| missing("grow_volume"))?;
                let volume = Resource::from_proto(&grow.volume)?;
                Ok(Self::GrowVolume { volume, addition: Resource::from_proto(&grow.addition)? })
            }
            Type::ShrinkVolume => {
                let shrink =
                    message.shrink_volume.as_ref().ok_or_else(|| missing("shrink_volume"))?;
                let subtract = Scalar::from_f64(shrink.subtract.value)
                    .map_err(|problem| problem.at("shrink_volume.subtract"))?;
                Ok(Self::ShrinkVolume { volume: Resource::from_proto(&shrink.volume)?, subtract })
            }
            other => Err(Problem::Operation(other.as_str_name()).at("type")),
        }
    }

    /// The steps of the operation.
    ///
    /// # Errors
    /// Resources that the operation cannot be about: reserving or unreserving what has no
    /// reservation, or what differs from its source in more than reservations, creating or
    /// destroying what is no persistent volume, resizing one of a resource provider, by more
    /// than there is, or with space of another kind.
    pub fn conversions(&self) -> Result<Vec<Conversion>, Error> {
        match self {
            Self::Reserve { resources, source } => {
                let consumed = match source {
                    Some(source) if source.to_unreserved() == resources.to_unreserved() => {
                        source.clone()
                    }
                    Some(_) => {
                        let problem = "it is not what is reserved, but for reservations".to_owned();
                        return Err(Problem::Contradiction(problem).at("reserve.source"));
                    }
                    None => resources
                        .pop_reservation()
                        .ok_or_else(|| not("a reservation").at("reserve.resources"))?,
                };
                Ok(vec![Conversion::new(consumed, resources.clone())])
            }
            Self::Unreserve(resources) => each(resources, |resource| {
                let bare = resource
                    .without_reservation()
                    .ok_or_else(|| not("a reservation").at("unreserve.resources"))?;
                Ok(Conversion::new(resource.clone().into(), bare.into()))
            }),
            Self::Create(volumes) => each(volumes, |volume| {
                let space = space_of(volume, "create.volumes")?;
                Ok(Conversion::new(space.into(), volume.clone().into()))
            }),
            Self::Destroy(volumes) => each(volumes, |volume| {
                let space = space_of(volume, "destroy.volumes")?;
                Ok(Conversion {
                    last: volume.is_shared().then(|| volume.clone()),
                    ..Conversion::new(volume.clone().into(), space.into())
                })
            }),
            Self::GrowVolume { volume, addition } => {
                let place = "grow_volume.volume";
                let space = space_of(volume, place)?;
                check_resizable(volume, place)?;
                let place_of_addition = "grow_volume.addition";
                let more = amount(addition, place_of_addition)?;
                if more <= Scalar::ZERO || *addition != space.with_value(Value::Scalar(more)) {
                    let problem = "it is not disk space of the kind that the volume was made of";
                    let problem = Problem::Contradiction(problem.to_owned());
                    return Err(problem.at(place_of_addition));
                }
                let size = amount(volume, place)? + more;
                let consumed = Resources::from_iter([volume.clone(), addition.clone()]);
                let grown = volume.clone().with_value(Value::Scalar(size));
                Ok(vec![Conversion::new(consumed, grown.into())])
            }
            Self::ShrinkVolume { volume, subtract } => {
                let place = "shrink_volume.volume";
                let space = space_of(volume, place)?;
                check_resizable(volume, place)?;
                let size = amount(volume, place)?;
                if *subtract <= Scalar::ZERO || *subtract >= size {
                    let problem =
                        format!("{subtract} is not between 0 and the volume's size {size}");
                    return Err(Problem::Contradiction(problem).at("shrink_volume.subtract"));
                }
                let shrunk = volume.clone().with_value(Value::Scalar(size - *subtract));
                let freed = space.with_value(Value::Scalar(*subtract));
                let converted = Resources::from_iter([shrunk, freed]);
                Ok(vec![Conversion::new(volume.clone().into(), converted)])
            }
        }
    }
}

impl Resources {
    /// What is there after one step of an operation.
    ///
    /// # Errors
    /// [`Problem::NotThere`] if something that goes is not there; [`Problem::Exists`] if a
    /// volume that comes is; [`Problem::InUse`] if a shared volume has other users.
    pub fn convert(&self, conversion: &Conversion) -> Result<Self, Problem> {
        let mut after = self.clone();
        after.convert_all(std::slice::from_ref(conversion))?;
        Ok(after)
    }

    /// Does all steps of an operation, or none if one cannot be done.
    ///
    /// # Errors
    /// Those of [`Resources::convert`].
    pub fn convert_all(&mut self, conversions: &[Conversion]) -> Result<(), Problem> {
        self.check_all(conversions)?;
        for conversion in conversions {
            self.exchange(conversion);
        }
        Ok(())
    }

    fn exchange(&mut self, conversion: &Conversion) {
        *self -= &conversion.consumed;
        *self += &conversion.converted;
    }

    /// Whether all steps of an operation could be done.
    ///
    /// # Errors
    /// Those of [`Resources::convert`].
    pub fn check_all(&self, conversions: &[Conversion]) -> Result<(), Problem> {
        if let [only] = conversions {
            return self.check(only);
        }
        // A step may need what an earlier one gives. Other resources than theirs do not matter.
        let all = conversions.iter().flat_map(|step| [&step.consumed, &step.converted]).flatten();
        let last = conversions.iter().filter_map(|step| step.last.as_ref());
        let mut part = self.like(all.chain(last));
        for conversion in conversions {
            part.check(conversion).map_err(|problem| match problem {
                Problem::NotThere { missing, .. } => {
                    Problem::NotThere { missing, there: format!("{self:#}") }
                }
                other => other,
            })?;
            part.exchange(conversion);
        }
        Ok(())
    }

    /// The entries that these could be added to, or taken from.
    fn like<'a>(&self, these: impl Iterator<Item = &'a Resource>) -> Self {
        let mut these: Vec<&Resource> = these.collect();
        these.sort_unstable_by(|a, b| a.order(b));
        these.dedup_by(|a, b| a.order(b).is_eq());
        let same = |this: &Resource| {
            let start = self.iter().as_slice().partition_point(|entry| entry.order(this).is_lt());
            let rest = &self.iter().as_slice()[start..];
            &rest[..rest.iter().take_while(|entry| entry.order(this).is_eq()).count()]
        };
        these.into_iter().flat_map(same).cloned().collect()
    }

    fn check(&self, conversion: &Conversion) -> Result<(), Problem> {
        if !self.contains(&conversion.consumed) {
            return Err(Problem::NotThere {
                missing: format!("{:#}", conversion.consumed),
                there: format!("{self:#}"),
            });
        }
        let volumes = conversion.converted.iter().filter(|volume| volume.is_persistent_volume());
        for volume in volumes {
            if self.count(volume) > conversion.consumed.count(volume) {
                return Err(Problem::Exists(format!("{volume:#}")));
            }
        }
        match &conversion.last {
            Some(last) if self.count(last) > conversion.consumed.count(last) => {
                Err(Problem::InUse(format!("{last:#}")))
            }
            _ => Ok(()),
        }
    }

    /// What is there after an operation.
    ///
    /// # Errors
    /// Those of [`Operation::conversions`] and [`Resources::convert`].
    pub fn apply(&self, operation: &Operation) -> Result<Self, Error> {
        operation.conversions()?.iter().try_fold(self.clone(), |resources, conversion| {
            resources.convert(conversion).map_err(|problem| problem.at("operation"))
        })
    }
}

fn not(what: &str) -> Problem {
    Problem::Contradiction(format!("a resource of it is not {what}"))
}

fn each(
    resources: &Resources,
    step: impl Fn(&Resource) -> Result<Conversion, Error>,
) -> Result<Vec<Conversion>, Error> {
    resources.iter().map(step).collect()
}

/// The disk space that a persistent volume was made of, which nobody shares.
fn space_of(volume: &Resource, place: &str) -> Result<Resource, Error> {
    if !volume.is_persistent_volume() {
        return Err(not("a persistent volume").at(place));
    }
    Ok(volume.map_details(|details| {
        details.disk = details.disk.as_ref().and_then(crate::Disk::without_persistence);
        details.shared = false;
    }))
}

fn check_resizable(volume: &Resource, place: &str) -> Result<(), Error> {
    if volume.details().provider.is_some() {
        let problem = Problem::Operation("resizing a volume of a resource provider");
        return Err(problem.at(place));
    }
    if volume.is_shared() {
        return Err(Problem::Contradiction("a shared volume keeps its size".to_owned()).at(place));
    }
    Ok(())
}

fn amount(resource: &Resource, place: &str) -> Result<Scalar, Error> {
    match resource.value() {
        Value::Scalar(amount) => Ok(*amount),
        _ => Err(Problem::Type(i32::from(resource.value().kind())).at(place)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Disk, Reservation};

    fn resource(text: &str) -> Resource {
        Resources::parse(text).unwrap().into_iter().next().unwrap()
    }

    #[test]
    fn volumes_grow_by_space_of_their_kind() {
        let volume = resource("disk(role):200").map_details(|details| {
            details.disk = Some(Disk { persistence: Some("id".to_owned()), ..Disk::default() });
        });
        let total = Resources::parse("cpus:8;disk:1000;disk(role):1000").unwrap();
        let total = total + Resources::from(volume.clone());
        let grow = |addition| Operation::GrowVolume { volume: volume.clone(), addition };
        assert!(total.apply(&grow(resource("disk(role):1"))).is_ok());
        let nothing = resource("disk(role):1").with_value(Value::Scalar(Scalar::ZERO));
        for addition in [resource("cpus:1"), resource("disk:100"), nothing] {
            let error = total.apply(&grow(addition)).unwrap_err();
            assert_eq!(error.place, "grow_volume.addition");
        }
    }

    #[test]
    fn reserving_anew_changes_reservations_alone() {
        let of = |text, role: &str| {
            let reservation = Reservation::dynamic(role);
            Resources::parse(text).unwrap().push_reservation(&reservation).unwrap()
        };
        let total = of("cpus:2", "one") + Resources::from(resource("mem:512"));
        let reserve =
            |source| Operation::Reserve { resources: of("cpus:1", "other"), source: Some(source) };
        let after = total.apply(&reserve(of("cpus:1", "one"))).unwrap();
        let all = of("cpus:1", "one") + of("cpus:1", "other");
        assert_eq!(after, all + Resources::from(resource("mem:512")));
        for source in [of("cpus:2", "one"), resource("mem:1").into()] {
            assert_eq!(total.apply(&reserve(source)).unwrap_err().place, "reserve.source");
        }
    }
}
