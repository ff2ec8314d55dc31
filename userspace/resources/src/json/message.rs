//! The structures of the JSON form, one for each message, with the same names of fields.

use muster_api::mesos;
use muster_api::mesos::resource::disk_info::{self, source};
use muster_api::mesos::resource::{self, DiskInfo, ReservationInfo, reservation_info};
use muster_api::mesos::{value, volume};
use serde::{Deserialize, Serialize};

use crate::SourceKind;

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    name: String,
    r#type: Type,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scalar: Option<Scalar>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ranges: Option<Ranges>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<Set>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reservation: Option<Reservation>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) reservations: Vec<Reservation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disk: Option<Disk>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revocable: Option<Empty>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared: Option<Empty>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allocation_info: Option<Allocation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_id: Option<Id>,
}

#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Type {
    #[default]
    Scalar,
    Ranges,
    Set,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scalar {
    value: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ranges {
    #[serde(default)]
    range: Vec<Range>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    begin: u64,
    end: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    #[serde(default)]
    item: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Allocation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Id {
    value: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reservation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#type: Option<ReservationType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<Labels>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ReservationType {
    Static,
    Dynamic,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    #[serde(default)]
    labels: Vec<Label>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Disk {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    persistence: Option<Persistence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    volume: Option<Volume>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Persistence {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Volume {
    container_path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_path: Option<String>,
    mode: Mode,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Mode {
    Rw,
    Ro,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    r#type: SourceKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Root>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mount: Option<Root>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Labels>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vendor: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<String>,
}

#[expect(deprecated, reason = "old files have it")]
impl From<Message> for mesos::Resource {
    fn from(json: Message) -> Self {
        let mut message = Self {
            name: json.name,
            scalar: json.scalar.map(|scalar| value::Scalar { value: scalar.value }),
            set: json.set.map(|set| value::Set { item: set.item }),
            role: json.role,
            reservation: json.reservation.map(Into::into),
            reservations: json.reservations.into_iter().map(Into::into).collect(),
            disk: json.disk.map(Into::into),
            revocable: json.revocable.map(|_| resource::RevocableInfo {}),
            shared: json.shared.map(|_| resource::SharedInfo {}),
            allocation_info: json
                .allocation_info
                .map(|allocation| resource::AllocationInfo { role: allocation.role }),
            provider_id: json.provider_id.map(|id| mesos::ResourceProviderId { value: id.value }),
            ..Self::default()
        };
        message.ranges = json.ranges.map(|ranges| {
            let range = |range: Range| value::Range { begin: range.begin, end: range.end };
            value::Ranges { range: ranges.range.into_iter().map(range).collect() }
        });
        message.set_type(match json.r#type {
            Type::Scalar => value::Type::Scalar,
            Type::Ranges => value::Type::Ranges,
            Type::Set => value::Type::Set,
        });
        message
    }
}

#[expect(deprecated, reason = "old files have it")]
impl From<mesos::Resource> for Message {
    fn from(message: mesos::Resource) -> Self {
        Self {
            r#type: match message.r#type() {
                value::Type::Ranges => Type::Ranges,
                value::Type::Set => Type::Set,
                value::Type::Scalar | value::Type::Text => Type::Scalar,
            },
            name: message.name,
            scalar: message.scalar.map(|scalar| Scalar { value: scalar.value }),
            ranges: message.ranges.map(|ranges| {
                let range = |range: value::Range| Range { begin: range.begin, end: range.end };
                Ranges { range: ranges.range.into_iter().map(range).collect() }
            }),
            set: message.set.map(|set| Set { item: set.item }),
            role: message.role,
            reservation: message.reservation.map(Into::into),
            reservations: message.reservations.into_iter().map(Into::into).collect(),
            disk: message.disk.map(Into::into),
            revocable: message.revocable.map(|_| Empty {}),
            shared: message.shared.map(|_| Empty {}),
            allocation_info: message.allocation_info.map(|info| Allocation { role: info.role }),
            provider_id: message.provider_id.map(|id| Id { value: id.value }),
        }
    }
}

impl From<Reservation> for ReservationInfo {
    fn from(json: Reservation) -> Self {
        let mut info = Self {
            role: json.role,
            principal: json.principal,
            labels: json.labels.map(Into::into),
            ..Self::default()
        };
        match json.r#type {
            Some(ReservationType::Static) => info.set_type(reservation_info::Type::Static),
            Some(ReservationType::Dynamic) => info.set_type(reservation_info::Type::Dynamic),
            None => {}
        }
        info
    }
}

impl From<ReservationInfo> for Reservation {
    fn from(info: ReservationInfo) -> Self {
        Self {
            r#type: match info.r#type() {
                reservation_info::Type::Static => Some(ReservationType::Static),
                reservation_info::Type::Dynamic => Some(ReservationType::Dynamic),
                reservation_info::Type::Unknown => None,
            },
            role: info.role,
            principal: info.principal,
            labels: info.labels.map(Into::into),
        }
    }
}

impl From<Labels> for mesos::Labels {
    fn from(json: Labels) -> Self {
        let label = |label: Label| mesos::Label { key: label.key, value: label.value };
        Self { labels: json.labels.into_iter().map(label).collect() }
    }
}

impl From<mesos::Labels> for Labels {
    fn from(message: mesos::Labels) -> Self {
        let label = |label: mesos::Label| Label { key: label.key, value: label.value };
        Self { labels: message.labels.into_iter().map(label).collect() }
    }
}

impl From<Disk> for DiskInfo {
    fn from(json: Disk) -> Self {
        Self {
            persistence: json.persistence.map(|persistence| disk_info::Persistence {
                id: persistence.id,
                principal: persistence.principal,
            }),
            volume: json.volume.map(Into::into),
            source: json.source.map(Into::into),
        }
    }
}

impl From<DiskInfo> for Disk {
    fn from(info: DiskInfo) -> Self {
        Self {
            persistence: info.persistence.map(|persistence| Persistence {
                id: persistence.id,
                principal: persistence.principal,
            }),
            volume: info.volume.map(Into::into),
            source: info.source.map(Into::into),
        }
    }
}

impl From<Volume> for mesos::Volume {
    fn from(json: Volume) -> Self {
        let mut volume = Self {
            container_path: json.container_path,
            host_path: json.host_path,
            ..Self::default()
        };
        volume.set_mode(match json.mode {
            Mode::Rw => volume::Mode::Rw,
            Mode::Ro => volume::Mode::Ro,
        });
        volume
    }
}

impl From<mesos::Volume> for Volume {
    fn from(volume: mesos::Volume) -> Self {
        Self {
            mode: match volume.mode() {
                volume::Mode::Rw => Mode::Rw,
                volume::Mode::Ro => Mode::Ro,
            },
            container_path: volume.container_path,
            host_path: volume.host_path,
        }
    }
}

impl From<Source> for disk_info::Source {
    fn from(json: Source) -> Self {
        let mut source = Self {
            path: json.path.map(|path| source::Path { root: path.root }),
            mount: json.mount.map(|mount| source::Mount { root: mount.root }),
            id: json.id,
            metadata: json.metadata.map(Into::into),
            profile: json.profile,
            vendor: json.vendor,
            ..Self::default()
        };
        source.set_type(json.r#type.into());
        source
    }
}

impl From<disk_info::Source> for Source {
    fn from(message: disk_info::Source) -> Self {
        Self {
            r#type: match message.r#type() {
                source::Type::Path => SourceKind::Path,
                source::Type::Mount => SourceKind::Mount,
                source::Type::Block => SourceKind::Block,
                source::Type::Raw | source::Type::Unknown => SourceKind::Raw,
            },
            path: message.path.map(|path| Root { root: path.root }),
            mount: message.mount.map(|mount| Root { root: mount.root }),
            id: message.id,
            metadata: message.metadata.map(Into::into),
            profile: message.profile,
            vendor: message.vendor,
        }
    }
}
