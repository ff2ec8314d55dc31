//! Containers that operators launch.

use muster_api::mesos::TaskInfo;
use muster_containerizer::{ContainerSpec, Kind, Origin, Resources, split_id};

use super::{Invalid, nest, refuse, wanted};
use crate::agent::Settings;

/// How an operator's container lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operated {
    /// Until it ends, in another or by itself.
    Container,
    /// As long as a connection, in what another has.
    Session,
}

/// The container with this name for what `info` says: its command, container, resources and
/// limits, in the words of a task.
///
/// # Errors
/// The first field that cannot be had.
pub(crate) fn operated(
    settings: &Settings,
    name: &str,
    info: &TaskInfo,
    how: Operated,
) -> Result<ContainerSpec, Invalid> {
    let linux = info.container.as_ref().and_then(|info| info.linux_info.as_ref());
    let shares = linux.and_then(|linux| linux.share_cgroups);
    let mut spec = wanted(info)?;
    let (parent, id) = split_id(name);
    if how == Operated::Session {
        if shares == Some(false) {
            let problem = "is false, and a session has the cgroups of its parent";
            return Err(Invalid::new("container.linux_info.share_cgroups", problem));
        }
        nest(&mut spec, name, info)?;
        spec.own_cgroups = false;
        spec.resources = Resources::default();
        (spec.kind, spec.origin) = (Kind::Debug, Origin::Session);
        spec.attach = true;
        return Ok(spec);
    }
    spec.origin = Origin::Operator;
    if let Some(parent) = parent {
        let deep = parent.contains('/');
        let alone = [
            ("resources", !info.resources.is_empty()),
            ("limits", !info.limits.is_empty()),
            ("container.linux_info.share_cgroups", shares == Some(false)),
        ];
        if let Some((field, _)) = alone.iter().find(|(_, set)| deep && *set) {
            let problem = "is for containers that are by themselves, or in one that is";
            return Err(Invalid::new(*field, problem));
        }
        nest(&mut spec, name, info)?;
        return Ok(spec);
    }
    if shares == Some(true) {
        let problem = "is true, and there is no parent to share them with";
        return Err(Invalid::new("container.linux_info.share_cgroups", problem));
    }
    for (at, resource) in info.resources.iter().enumerate() {
        let field = |name: &str| format!("resources[{at}].{name}");
        let reserved = !resource.reservations.is_empty() || resource.reservation.is_some();
        let disk = resource.disk.as_ref();
        refuse(&[
            (&field("reservations"), reserved),
            (&field("disk.persistence"), disk.is_some_and(|disk| disk.persistence.is_some())),
            (&field("revocable"), resource.revocable.is_some()),
        ])?;
    }
    id.clone_into(&mut spec.id);
    spec.sandbox = settings.operated_sandbox(id);
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::{CommandInfo, ContainerInfo, LinuxInfo, container_info, resource};

    use super::Operated::{Container, Session};
    use super::*;
    use crate::agent::testing::{scalar, settings};

    fn info() -> TaskInfo {
        let command = CommandInfo { value: Some("true".into()), ..CommandInfo::default() };
        TaskInfo { command: Some(command), ..TaskInfo::default() }
    }

    fn sharing(shares: bool) -> TaskInfo {
        let linux_info = LinuxInfo { share_cgroups: Some(shares), ..LinuxInfo::default() };
        let container = ContainerInfo {
            r#type: container_info::Type::Mesos.into(),
            linux_info: Some(linux_info),
            ..ContainerInfo::default()
        };
        TaskInfo { container: Some(container), ..info() }
    }

    fn made(name: &str, info: &TaskInfo, how: Operated) -> Result<ContainerSpec, String> {
        operated(&settings(), name, info, how).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn have_their_place_by_their_names() {
        let spec = made("a", &info(), Container).unwrap();
        assert_eq!((spec.parent, spec.id.as_str()), (None, "a"));
        assert_eq!((spec.origin, spec.kind), (Origin::Operator, Kind::Command));
        assert!(spec.sandbox.ends_with("containers/a"), "{}", spec.sandbox.display());
        let spec = made("a/b", &info(), Container).unwrap();
        assert_eq!((spec.parent.as_deref(), spec.id.as_str()), (Some("a"), "b"));
        assert!(spec.sandbox.as_os_str().is_empty() && !spec.attach && !spec.own_cgroups);
        let spec = made("a/b", &info(), Session).unwrap();
        assert_eq!((spec.origin, spec.kind), (Origin::Session, Kind::Debug));
        assert!(spec.attach);
    }

    #[test]
    fn what_does_not_go_with_their_place_is_refused_by_name() {
        let with = |resource| TaskInfo { resources: vec![resource], ..info() };
        let reserved = resource::ReservationInfo::default();
        let mut theirs = scalar("cpus", 1.0);
        theirs.reservations.push(reserved);
        let mut revocable = scalar("cpus", 1.0);
        revocable.revocable = Some(resource::RevocableInfo::default());
        let limited = |name: &str| {
            let scalar = muster_api::mesos::value::Scalar { value: 1.0 };
            TaskInfo { limits: [(name.to_owned(), scalar)].into(), ..info() }
        };
        for (name, info, how, problem) in vec![
            ("a", sharing(true), Container, "container.linux_info.share_cgroups is true"),
            ("a", with(theirs), Container, "resources[0].reservations is not supported"),
            ("a", with(revocable), Container, "resources[0].revocable is not supported"),
            ("a/b", limited("cpus"), Container, "limits goes only with"),
            ("a/b/c", sharing(false), Container, "container.linux_info.share_cgroups is for"),
            ("a/b/c", with(scalar("mem", 1.0)), Container, "resources is for"),
            ("a/b/c", limited("cpus"), Container, "limits is for"),
            ("a/b", sharing(false), Session, "container.linux_info.share_cgroups is false"),
            ("a", TaskInfo::default(), Container, "command.value is missing"),
        ] {
            let refused = made(name, &info, how).unwrap_err();
            assert!(refused.starts_with(problem), "{refused}");
        }
        assert!(made("a/b", &sharing(false), Container).unwrap().own_cgroups);
        assert!(made("a", &sharing(false), Container).is_ok());
    }
}
