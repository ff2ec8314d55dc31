//! `container.volumes`.

use super::command;
use super::unsupported::refuse_secret;
use crate::app::{Volume, VolumeSource};
use crate::reader::Field;

/// The prefix of an external volume's options, with which its driver is named.
const PREFIX: &str = "dvdi/";

/// The volumes of a container; `engine` says whether a Docker engine runs it.
pub(super) fn read(field: &Field<'_>, engine: bool) -> Option<Vec<Volume>> {
    let volumes: Vec<_> =
        field.array()?.iter().map(|element| read_volume(element, engine)).collect();
    volumes.into_iter().collect()
}

fn read_volume(field: &Field<'_>, engine: bool) -> Option<Volume> {
    let mut object = field.object()?;
    let container_path = command::required(&mut object, "containerPath");
    let read_only = match object.field("mode") {
        None => Some(false),
        Some(field) => match field.string() {
            Some("RW") => Some(false),
            Some("RO") => Some(true),
            Some(_) => {
                field.refuse("must be RW or RO");
                None
            }
            None => None,
        },
    };
    if let Some(field) = object.field("persistent") {
        field.refuse("is not supported yet: keep data outside, or give hostPath");
    }
    if let Some(field) = object.field("secret") {
        refuse_secret(&field, "put the file into the image, or give hostPath");
    }
    let source = match (object.field("hostPath"), object.field("external")) {
        (Some(_), Some(external)) => {
            external.refuse("must not be given together with hostPath");
            None
        }
        (Some(path), None) => command::text(&path).map(VolumeSource::Host),
        (None, Some(external)) if !engine => {
            external.refuse("needs container.type DOCKER");
            None
        }
        (None, Some(external)) => read_external(&external),
        (None, None) => {
            object.refuse("hostPath", "is missing, and so is external");
            None
        }
    };
    object.finish();
    Some(Volume { container_path: container_path?, read_only: read_only?, source: source? })
}

fn read_external(field: &Field<'_>) -> Option<VolumeSource> {
    let mut object = field.object()?;
    let name = command::required(&mut object, "name");
    if let Some(provider) = command::required(&mut object, "provider")
        && provider != "dvdi"
    {
        object.refuse("provider", "must be dvdi");
    }
    if let Some(size) = object.field("size") {
        size.refuse("is not supported: give it to the driver, as in \"dvdi/size\"");
    }
    let options = command::strings(&mut object, "options");
    object.finish();
    let mut options = options?;
    let Some(driver) = options.remove("dvdi/driver") else {
        let problem = "must name its driver, as in {\"options\": {\"dvdi/driver\": \"local\"}}";
        field.refuse(problem);
        return None;
    };
    let plain = |(name, value): (String, String)| {
        (name.strip_prefix(PREFIX).map_or(name.clone(), str::to_owned), value)
    };
    let options = options.into_iter().map(plain).collect();
    Some(VolumeSource::External { name: name?, driver, options })
}
