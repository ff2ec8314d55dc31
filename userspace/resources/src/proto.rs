//! Resources from and to Mesos' messages.

use muster_api::mesos;
use muster_api::mesos::resource::disk_info::source;
use muster_api::mesos::resource::disk_info::{Persistence, Source as SourceInfo};
use muster_api::mesos::resource::{AllocationInfo, DiskInfo, ReservationInfo, reservation_info};
use muster_api::mesos::resource::{RevocableInfo, SharedInfo};
use muster_api::mesos::value;

use crate::{
    Details, Disk, Error, Items, Label, Labels, Problem, Range, Ranges, Reservation,
    ReservationKind, Resource, Resources, Scalar, Source, SourceKind, Value, role,
};

impl Resources {
    /// Reads messages, in the form with a stack of reservations, in the older one with a
    /// role and perhaps a reservation, or in both if they agree. Empty ones count for
    /// nothing.
    ///
    /// # Errors
    /// What Mesos holds invalid; the place is the field.
    pub fn from_proto(resources: &[mesos::Resource]) -> Result<Self, Error> {
        let mut all = Self::default();
        for (index, message) in resources.iter().enumerate() {
            all.add(Resource::read(message, &format!("resources[{index}]"))?);
        }
        Ok(all)
    }

    /// The messages, with a stack of reservations each; one message for each copy of a
    /// shared resource.
    pub fn to_proto(&self) -> Vec<mesos::Resource> {
        let copies =
            |entry: &Resource| std::iter::repeat_n(entry.to_proto(), entry.copies() as usize);
        self.iter().flat_map(copies).collect()
    }
}

impl Resource {
    /// Reads one message.
    ///
    /// # Errors
    /// What Mesos holds invalid; the place is the field.
    pub fn from_proto(message: &mesos::Resource) -> Result<Self, Error> {
        Self::read(message, "resource")
    }

    fn read(message: &mesos::Resource, place: &str) -> Result<Self, Error> {
        if message.name.is_empty() {
            return Err(Problem::NoName.at(format!("{place}.name")));
        }
        let value = read_value(message, place)?;
        let disk = match &message.disk {
            Some(_) if message.name != "disk" => {
                return Err(Problem::Unwanted("only disk has it").at(format!("{place}.disk")));
            }
            Some(disk) => Some(read_disk(disk, &format!("{place}.disk"))?),
            None => None,
        };
        let details = Details {
            reservations: read_reservations(message, place)?,
            revocable: message.revocable.is_some(),
            shared: message.shared.is_some(),
            provider: message.provider_id.as_ref().map(|id| id.value.as_str().into()),
            disk,
        };
        if details.shared && details.disk.as_ref().is_none_or(|disk| disk.persistence.is_none()) {
            let problem = Problem::Unwanted("only persistent volumes can be shared");
            return Err(problem.at(format!("{place}.shared")));
        }
        let role = message.allocation_info.as_ref().and_then(|info| info.role.as_deref());
        Ok(Self::new(message.name.as_str(), value)
            .with_details(details)
            .with_allocation(role.map(Into::into)))
    }

    /// The message, with a stack of reservations.
    pub fn to_proto(&self) -> mesos::Resource {
        let details = self.details();
        let mut message = mesos::Resource {
            name: self.name().as_str().to_owned(),
            disk: details.disk.as_ref().map(write_disk),
            revocable: details.revocable.then_some(RevocableInfo {}),
            shared: details.shared.then_some(SharedInfo {}),
            allocation_info: self
                .allocation()
                .map(|role| AllocationInfo { role: Some(role.as_str().to_owned()) }),
            provider_id: details
                .provider
                .as_ref()
                .map(|id| mesos::ResourceProviderId { value: id.as_str().to_owned() }),
            reservations: details.reservations.iter().map(write_reservation).collect(),
            ..mesos::Resource::default()
        };
        match self.value() {
            Value::Scalar(scalar) => {
                message.set_type(value::Type::Scalar);
                message.scalar = Some(value::Scalar { value: scalar.as_f64() });
            }
            Value::Ranges(ranges) => {
                message.set_type(value::Type::Ranges);
                let range = |range: &Range| value::Range { begin: range.begin, end: range.end };
                let range = ranges.as_slice().iter().map(range).collect();
                message.ranges = Some(value::Ranges { range });
            }
            Value::Set(items) => {
                message.set_type(value::Type::Set);
                message.set = Some(value::Set { item: items.iter().map(str::to_owned).collect() });
            }
        }
        message
    }
}

fn read_value(message: &mesos::Resource, place: &str) -> Result<Value, Error> {
    let kind = value::Type::try_from(message.r#type);
    let wrong = [
        ("scalar", message.scalar.is_some(), value::Type::Scalar),
        ("ranges", message.ranges.is_some(), value::Type::Ranges),
        ("set", message.set.is_some(), value::Type::Set),
    ];
    for (field, is_set, wants) in wrong {
        if is_set && kind != Ok(wants) {
            let problem = Problem::Unwanted("the type is another one");
            return Err(problem.at(format!("{place}.{field}")));
        }
    }
    match kind {
        Ok(value::Type::Scalar) => {
            let place = format!("{place}.scalar");
            let number = message.scalar.as_ref().ok_or_else(|| Problem::Missing.at(&place))?.value;
            let scalar = Scalar::from_f64(number).map_err(|problem| problem.at(&place))?;
            if scalar < Scalar::ZERO || number < 0.0 {
                return Err(Problem::Negative(number.to_string()).at(place));
            }
            if scalar.is_zero() && number != 0.0 {
                return Err(Problem::TooSmall(number.to_string()).at(place));
            }
            Ok(Value::Scalar(scalar))
        }
        Ok(value::Type::Ranges) => {
            let place = format!("{place}.ranges");
            let ranges = message.ranges.as_ref().ok_or_else(|| Problem::Missing.at(&place))?;
            let ranges: Vec<Range> = ranges
                .range
                .iter()
                .map(|range| Range { begin: range.begin, end: range.end })
                .collect();
            let union =
                Ranges::new(ranges.iter().copied()).map_err(|problem| problem.at(&place))?;
            match Ranges::overlap(&ranges) {
                Some(number) => Err(Problem::Overlap(number).at(place)),
                None => Ok(Value::Ranges(union)),
            }
        }
        Ok(value::Type::Set) => {
            let place = format!("{place}.set");
            let set = message.set.as_ref().ok_or_else(|| Problem::Missing.at(&place))?;
            let items: Items = set.item.iter().map(String::as_str).collect();
            if items.len() < set.item.len() {
                let twice =
                    set.item.iter().enumerate().find(|(at, item)| set.item[..*at].contains(item));
                let twice = twice.map(|(_, item)| item.clone()).unwrap_or_default();
                return Err(Problem::Duplicate(twice).at(place));
            }
            Ok(Value::Set(items))
        }
        _ => Err(Problem::Type(message.r#type).at(format!("{place}.type"))),
    }
}

fn read_reservations(message: &mesos::Resource, place: &str) -> Result<Vec<Reservation>, Error> {
    if message.reservations.is_empty() {
        return read_old_reservation(message, place);
    }
    let mut stack: Vec<Reservation> = Vec::with_capacity(message.reservations.len());
    for (index, info) in message.reservations.iter().enumerate() {
        let place = format!("{place}.reservations[{index}]");
        let kind = match info.r#type.map(reservation_info::Type::try_from) {
            Some(Ok(reservation_info::Type::Static)) => ReservationKind::Static,
            Some(Ok(reservation_info::Type::Dynamic)) => ReservationKind::Dynamic,
            Some(_) => {
                return Err(
                    Problem::Type(info.r#type.unwrap_or_default()).at(format!("{place}.type"))
                );
            }
            None => return Err(Problem::Missing.at(format!("{place}.type"))),
        };
        let role =
            info.role.as_deref().ok_or_else(|| Problem::Missing.at(format!("{place}.role")))?;
        check_role(role, &format!("{place}.role"))?;
        if let Some(above) = stack.last() {
            if kind == ReservationKind::Static {
                let problem = Problem::Contradiction("a refinement cannot be STATIC".to_owned());
                return Err(problem.at(format!("{place}.type")));
            }
            if !role::is_strict_subrole_of(role, &above.role) {
                let problem =
                    format!("{role:?} is not a subrole of {:?}, which it refines", above.role);
                return Err(Problem::Contradiction(problem).at(format!("{place}.role")));
            }
        }
        stack.push(Reservation { kind, role: role.into(), ..read_makers(info) });
    }
    check_agreement(message, &stack, place)?;
    Ok(stack)
}

/// The form that Mesos had before reservations could be refined.
fn read_old_reservation(message: &mesos::Resource, place: &str) -> Result<Vec<Reservation>, Error> {
    let role = message.role();
    role::validate(role).map_err(|problem| problem.at(format!("{place}.role")))?;
    let Some(info) = &message.reservation else {
        return Ok(if role == "*" { Vec::new() } else { vec![Reservation::fixed(role)] });
    };
    let place = format!("{place}.reservation");
    if info.r#type.is_some() || info.role.is_some() {
        let problem = Problem::Unwanted("type and role are for `reservations`");
        return Err(problem.at(place));
    }
    if role == "*" {
        let problem = "the role \"*\" cannot have reservations".to_owned();
        return Err(Problem::Contradiction(problem).at(place));
    }
    Ok(vec![Reservation { kind: ReservationKind::Dynamic, role: role.into(), ..read_makers(info) }])
}

/// Both forms at once must say the same.
#[expect(deprecated, reason = "old frameworks and agents speak it")]
fn check_agreement(
    message: &mesos::Resource,
    stack: &[Reservation],
    place: &str,
) -> Result<(), Error> {
    let contradiction = |field: &str, problem: String| {
        Err(Problem::Contradiction(problem).at(format!("{place}.{field}")))
    };
    let [only] = stack else {
        for (field, is_set) in
            [("role", message.role.is_some()), ("reservation", message.reservation.is_some())]
        {
            if is_set {
                return contradiction(
                    field,
                    "it cannot say what a refined reservation is".to_owned(),
                );
            }
        }
        return Ok(());
    };
    if message.role.as_ref().is_some_and(|role| *role != *only.role) {
        return contradiction(
            "role",
            format!("it is {:?}, but the reservation is to {:?}", message.role(), only.role),
        );
    }
    match (&message.reservation, only.kind) {
        (Some(_), ReservationKind::Static) => {
            contradiction("reservation", "the reservation is STATIC".to_owned())
        }
        (Some(info), ReservationKind::Dynamic) => {
            let old = read_makers(info);
            if message.role.is_none() {
                contradiction("role", "`reservation` is set, so `role` has to be".to_owned())
            } else if (&old.principal, &old.labels) != (&only.principal, &only.labels) {
                contradiction(
                    "reservation",
                    "principal or labels differ from `reservations`".to_owned(),
                )
            } else {
                Ok(())
            }
        }
        (None, ReservationKind::Dynamic) if message.role.is_some() => {
            contradiction("reservation", "`role` is set, so `reservation` has to be".to_owned())
        }
        (None, _) => Ok(()),
    }
}

fn check_role(role: &str, place: &str) -> Result<(), Error> {
    role::validate(role).map_err(|problem| problem.at(place))?;
    if role == "*" {
        let reason = "nothing can be reserved for everybody";
        return Err(Problem::Role { role: role.to_owned(), reason }.at(place));
    }
    Ok(())
}

fn read_makers(info: &ReservationInfo) -> Reservation {
    Reservation {
        principal: info.principal.clone(),
        labels: info.labels.as_ref().map(read_labels),
        ..Reservation::dynamic("")
    }
}

fn write_reservation(reservation: &Reservation) -> ReservationInfo {
    let mut info = ReservationInfo {
        principal: reservation.principal.clone(),
        labels: reservation.labels.as_ref().map(write_labels),
        role: Some(reservation.role.as_str().to_owned()),
        ..ReservationInfo::default()
    };
    info.set_type(match reservation.kind {
        ReservationKind::Static => reservation_info::Type::Static,
        ReservationKind::Dynamic => reservation_info::Type::Dynamic,
    });
    info
}

fn read_disk(info: &DiskInfo, place: &str) -> Result<Disk, Error> {
    let source = match &info.source {
        Some(source) => Some(read_source(source, &format!("{place}.source"))?),
        None => None,
    };
    Ok(Disk {
        source,
        persistence: info.persistence.as_ref().map(|persistence| persistence.id.clone()),
        principal: info.persistence.as_ref().and_then(|persistence| persistence.principal.clone()),
        volume: info.volume.clone(),
    })
}

fn read_source(info: &SourceInfo, place: &str) -> Result<Source, Error> {
    let kind = match source::Type::try_from(info.r#type) {
        Ok(source::Type::Path) => SourceKind::Path,
        Ok(source::Type::Mount) => SourceKind::Mount,
        Ok(source::Type::Block) => SourceKind::Block,
        Ok(source::Type::Raw) => SourceKind::Raw,
        _ => return Err(Problem::Type(info.r#type).at(format!("{place}.type"))),
    };
    let path = info.path.as_ref().map(|path| path.root.clone());
    let mount = info.mount.as_ref().map(|mount| mount.root.clone());
    let unwanted = |field: &str| {
        let problem = Problem::Unwanted("the disk's type is another one");
        Err(problem.at(format!("{place}.{field}")))
    };
    if path.is_some() && kind != SourceKind::Path {
        return unwanted("path");
    }
    if mount.is_some() && kind != SourceKind::Mount {
        return unwanted("mount");
    }
    Ok(Source {
        kind,
        root: path.or(mount),
        id: info.id.clone(),
        metadata: info.metadata.as_ref().map(read_labels),
        profile: info.profile.clone(),
        vendor: info.vendor.clone(),
    })
}

fn write_disk(disk: &Disk) -> DiskInfo {
    let persistence = disk
        .persistence
        .as_ref()
        .map(|id| Persistence { id: id.clone(), principal: disk.principal.clone() });
    DiskInfo {
        persistence,
        volume: disk.volume.clone(),
        source: disk.source.as_ref().map(write_source),
    }
}

fn write_source(disk: &Source) -> SourceInfo {
    let mut info = SourceInfo {
        id: disk.id.clone(),
        metadata: disk.metadata.as_ref().map(write_labels),
        profile: disk.profile.clone(),
        vendor: disk.vendor.clone(),
        ..SourceInfo::default()
    };
    let root = disk.root.clone();
    match disk.kind {
        SourceKind::Path => info.path = root.map(|root| source::Path { root }),
        SourceKind::Mount => info.mount = root.map(|root| source::Mount { root }),
        SourceKind::Block | SourceKind::Raw => {}
    }
    info.set_type(disk.kind.into());
    info
}

fn read_labels(labels: &mesos::Labels) -> Labels {
    let label = |label: &mesos::Label| Label { key: label.key.clone(), value: label.value.clone() };
    labels.labels.iter().map(label).collect()
}

fn write_labels(labels: &Labels) -> mesos::Labels {
    let label = |label: &Label| mesos::Label { key: label.key.clone(), value: label.value.clone() };
    mesos::Labels { labels: labels.as_slice().iter().map(label).collect() }
}
