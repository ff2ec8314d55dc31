//! What a task wants of Linux for its container.

use muster_api::mesos::capability_info::Capability;
use muster_api::mesos::linux_info::IpcMode as Mode;
use muster_api::mesos::r_limit_info::r_limit::Type;
use muster_api::mesos::{CapabilityInfo, LinuxInfo, RLimitInfo};
use muster_containerizer::{CapabilitySet, ContainerSpec, IpcMode, Rlimit, RlimitKind, Seccomp};

use super::Invalid;

const LINUX: &str = "container.linux_info";

/// Adds what `info` wants to `spec`.
pub(super) fn apply(info: &LinuxInfo, spec: &mut ContainerSpec) -> Result<(), Invalid> {
    #[allow(deprecated)] // It means the effective ones where these are not given.
    let old = info.capability_info.as_ref().map(|info| ("capability_info", info));
    let new = info.effective_capabilities.as_ref().map(|info| ("effective_capabilities", info));
    if old.is_some() && new.is_some() {
        let problem = "is the old form of effective_capabilities, which is there too";
        return Err(Invalid::new(format!("{LINUX}.capability_info"), problem));
    }
    spec.effective_capabilities =
        new.or(old).map(|(field, info)| capabilities(field, info)).transpose()?;
    let bounding = info.bounding_capabilities.as_ref();
    spec.bounding_capabilities =
        bounding.map(|info| capabilities("bounding_capabilities", info)).transpose()?;
    spec.seccomp = match info.seccomp.as_ref().map(|s| (s.unconfined(), &s.profile_name)) {
        None | Some((false, None)) => Seccomp::Default,
        Some((true, None)) => Seccomp::Unconfined,
        Some((false, Some(name))) => Seccomp::Profile(name.clone()),
        Some((true, Some(_))) => {
            let problem = "has a profile and is unconfined; it can be one of these";
            return Err(Invalid::new(format!("{LINUX}.seccomp"), problem));
        }
    };
    spec.share_pid_namespace = info.share_pid_namespace();
    spec.ipc_mode = match info.ipc_mode.map(Mode::try_from) {
        None | Some(Ok(Mode::Unknown | Mode::Private)) => IpcMode::Private,
        Some(Ok(Mode::ShareParent)) => IpcMode::ShareParent,
        Some(Err(_)) => {
            return Err(Invalid::new(format!("{LINUX}.ipc_mode"), "is none that is known"));
        }
    };
    // Megabytes, as in Mesos. Whether cgroups are shared is asked of nested containers only.
    spec.shm_bytes = info.shm_size.map(|megabytes| u64::from(megabytes) << 20);
    Ok(())
}

/// The resource limits of a task.
pub(super) fn rlimits(info: &RLimitInfo) -> Result<Vec<Rlimit>, Invalid> {
    let limit = |(index, limit): (usize, &muster_api::mesos::r_limit_info::RLimit)| {
        let field = format!("container.rlimit_info.rlimits[{index}]");
        let Some(kind) = kind(limit.r#type()) else {
            return Err(Invalid::new(format!("{field}.type"), "is missing or none that is known"));
        };
        let (soft, hard) = (limit.soft, limit.hard);
        if soft.is_some() != hard.is_some() {
            let problem = "has a soft or a hard limit only; it has both, or none for no limit";
            return Err(Invalid::new(field, problem));
        }
        Ok(Rlimit { kind, soft, hard })
    };
    info.rlimits.iter().enumerate().map(limit).collect()
}

fn capabilities(field: &str, info: &CapabilityInfo) -> Result<CapabilitySet, Invalid> {
    let names = info.capabilities.iter().map(|number| match Capability::try_from(*number) {
        Ok(capability) if capability != Capability::Unknown => Ok(capability.as_str_name()),
        _ => Err(format!("names {number}, which is no capability")),
    });
    let names = names.collect::<Result<Vec<_>, _>>().map(|names| names.join(","));
    let set = names.and_then(|names| names.parse());
    set.map_err(|problem| Invalid::new(format!("{LINUX}.{field}"), problem))
}

fn kind(kind: Type) -> Option<RlimitKind> {
    Some(match kind {
        Type::Unknown => return None,
        Type::RlmtAs => RlimitKind::As,
        Type::RlmtCore => RlimitKind::Core,
        Type::RlmtCpu => RlimitKind::Cpu,
        Type::RlmtData => RlimitKind::Data,
        Type::RlmtFsize => RlimitKind::Fsize,
        Type::RlmtLocks => RlimitKind::Locks,
        Type::RlmtMemlock => RlimitKind::Memlock,
        Type::RlmtMsgqueue => RlimitKind::Msgqueue,
        Type::RlmtNice => RlimitKind::Nice,
        Type::RlmtNofile => RlimitKind::Nofile,
        Type::RlmtNproc => RlimitKind::Nproc,
        Type::RlmtRss => RlimitKind::Rss,
        Type::RlmtRtprio => RlimitKind::Rtprio,
        Type::RlmtRttime => RlimitKind::Rttime,
        Type::RlmtSigpending => RlimitKind::Sigpending,
        Type::RlmtStack => RlimitKind::Stack,
    })
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::SeccompInfo;
    use muster_api::mesos::r_limit_info::RLimit;

    use super::*;

    fn applied(info: &LinuxInfo) -> Result<ContainerSpec, String> {
        let mut spec = ContainerSpec::default();
        apply(info, &mut spec).map(|()| spec).map_err(|invalid| invalid.to_string())
    }

    fn these(numbers: &[i32]) -> CapabilityInfo {
        CapabilityInfo { capabilities: numbers.to_vec() }
    }

    #[test]
    fn capabilities_by_number() {
        let info = LinuxInfo {
            effective_capabilities: Some(these(&[1000, 1013])),
            bounding_capabilities: Some(these(&[1000, 1013, 1040])),
            ..Default::default()
        };
        let spec = applied(&info).unwrap();
        let text = |set: Option<CapabilitySet>| set.unwrap().to_string();
        assert_eq!(text(spec.effective_capabilities), "CHOWN,NET_RAW");
        assert_eq!(text(spec.bounding_capabilities), "CHOWN,NET_RAW,CHECKPOINT_RESTORE");
        // Every one that Mesos has is one of Linux.
        let all: Vec<i32> = (1000..=1040).collect();
        applied(&LinuxInfo { effective_capabilities: Some(these(&all)), ..Default::default() })
            .unwrap();
        for wrong in [0, 999, 1041] {
            let info =
                LinuxInfo { effective_capabilities: Some(these(&[wrong])), ..Default::default() };
            let expected =
                format!("{LINUX}.effective_capabilities names {wrong}, which is no capability");
            assert_eq!(applied(&info).unwrap_err(), expected);
        }
    }

    #[test]
    #[allow(deprecated)]
    fn the_old_form_means_the_effective_ones() {
        let info = LinuxInfo { capability_info: Some(these(&[1000])), ..Default::default() };
        let spec = applied(&info).unwrap();
        assert_eq!(spec.effective_capabilities.unwrap().to_string(), "CHOWN");
        let both = LinuxInfo { effective_capabilities: Some(these(&[1000])), ..info };
        assert!(applied(&both).unwrap_err().starts_with("container.linux_info.capability_info is"));
    }

    #[test]
    fn namespaces() {
        let spec = applied(&LinuxInfo::default()).unwrap();
        assert_eq!((spec.share_pid_namespace, spec.ipc_mode), (false, IpcMode::Private));
        let info = LinuxInfo {
            share_pid_namespace: Some(true),
            ipc_mode: Some(Mode::ShareParent.into()),
            shm_size: Some(16),
            ..Default::default()
        };
        let spec = applied(&info).unwrap();
        assert_eq!((spec.share_pid_namespace, spec.ipc_mode), (true, IpcMode::ShareParent));
        assert_eq!(spec.shm_bytes, Some(16 << 20));
        let error = applied(&LinuxInfo { ipc_mode: Some(9), ..Default::default() }).unwrap_err();
        assert_eq!(error, "container.linux_info.ipc_mode is none that is known");
    }

    #[test]
    fn system_calls() {
        let with = |profile_name: Option<&str>, unconfined| {
            let profile_name = profile_name.map(Into::into);
            let seccomp = Some(SeccompInfo { profile_name, unconfined });
            applied(&LinuxInfo { seccomp, ..Default::default() }).map(|spec| spec.seccomp)
        };
        assert_eq!(applied(&LinuxInfo::default()).unwrap().seccomp, Seccomp::Default);
        assert_eq!(with(None, Some(false)), Ok(Seccomp::Default));
        assert_eq!(with(None, Some(true)), Ok(Seccomp::Unconfined));
        assert_eq!(with(Some("p"), None), Ok(Seccomp::Profile("p".into())));
        let error = with(Some("p"), Some(true)).unwrap_err();
        assert!(error.starts_with("container.linux_info.seccomp has a profile and is"), "{error}");
    }

    #[test]
    fn resource_limits() {
        let limits = |kind: Type, soft, hard| {
            let limit = RLimit { r#type: Some(kind.into()), soft, hard };
            let info = RLimitInfo { rlimits: vec![limit] };
            rlimits(&info).map_err(|invalid| invalid.to_string())
        };
        let (soft, hard) = (Some(1), Some(2));
        let expected = Rlimit { kind: RlimitKind::Nofile, soft, hard };
        assert_eq!(limits(Type::RlmtNofile, soft, hard), Ok(vec![expected]));
        let expected = Rlimit { kind: RlimitKind::Core, soft: None, hard: None };
        assert_eq!(limits(Type::RlmtCore, None, None), Ok(vec![expected]));
        let error = limits(Type::RlmtCore, soft, None).unwrap_err();
        assert!(error.starts_with("container.rlimit_info.rlimits[0] has a soft or"), "{error}");
        let error = limits(Type::Unknown, None, None).unwrap_err();
        assert!(error.starts_with("container.rlimit_info.rlimits[0].type is missing"), "{error}");
    }
}
