//! `--mount` of `docker run`.

use bollard::models::{
    Mount, MountBindOptions, MountBindOptionsPropagationEnum as Propagation, MountTmpfsOptions,
    MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig,
};

use super::values::{boolean, bytes, pair};

/// `type=bind,source=/a,target=/b,readonly`: fields as of `docker run --mount`, separated by commas.
pub(super) fn mount(value: &str) -> Result<Mount, String> {
    let mut mount = Mount { typ: Some(MountType::VOLUME), ..Mount::default() };
    for field in value.split(',') {
        let (key, given) = field.split_once('=').unwrap_or((field, "true"));
        let text = || Some(given.to_owned());
        match key.trim().to_ascii_lowercase().as_str() {
            "type" => {
                mount.typ = Some(match given {
                    "bind" => MountType::BIND,
                    "volume" => MountType::VOLUME,
                    "tmpfs" => MountType::TMPFS,
                    _ => {
                        return Err(format!(
                            "has type={given}, which is none of bind, volume, tmpfs"
                        ));
                    }
                });
            }
            "source" | "src" => mount.source = text(),
            "target" | "destination" | "dst" => mount.target = text(),
            "readonly" | "ro" => {
                let only =
                    boolean(given).map_err(|problem| format!("has {key}, which {problem}"))?;
                mount.read_only = Some(only);
            }
            "bind-propagation" => bind(&mut mount).propagation = Some(propagation(given)?),
            "bind-nonrecursive" => bind(&mut mount).non_recursive = Some(boolean(given)?),
            "volume-nocopy" => volume(&mut mount).no_copy = Some(boolean(given)?),
            "volume-driver" => driver(&mut mount).name = text(),
            "volume-label" => {
                let (name, label) =
                    pair(given).unwrap_or_else(|_| (given.to_owned(), String::new()));
                volume(&mut mount).labels.get_or_insert_default().insert(name, label);
            }
            "volume-opt" => {
                let (name, option) = pair(given)?;
                driver(&mut mount).options.get_or_insert_default().insert(name, option);
            }
            "tmpfs-size" => tmpfs(&mut mount).size_bytes = Some(bytes(given)?),
            "tmpfs-mode" => {
                let mode =
                    i64::from_str_radix(given, 8).ok().filter(|mode| (0..=0o7777).contains(mode));
                tmpfs(&mut mount).mode = Some(mode.ok_or("has a tmpfs-mode that is not octal")?);
            }
            other => return Err(format!("has the field {other:?}, which a mount has not")),
        }
    }
    check(&mount)?;
    Ok(mount)
}

fn check(mount: &Mount) -> Result<(), String> {
    if !mount.target.as_deref().is_some_and(|target| target.starts_with('/')) {
        return Err("must have target=, an absolute path".into());
    }
    let typ = mount.typ.unwrap_or(MountType::VOLUME);
    let kinds = [
        ("bind-", MountType::BIND, mount.bind_options.is_some()),
        ("volume-", MountType::VOLUME, mount.volume_options.is_some()),
        ("tmpfs-", MountType::TMPFS, mount.tmpfs_options.is_some()),
    ];
    if let Some((prefix, ..)) = kinds.iter().find(|(_, of, given)| *given && *of != typ) {
        return Err(format!("has a field {prefix}…, which is not for type={typ}"));
    }
    match (typ, mount.source.as_deref()) {
        (MountType::BIND, source) if !source.is_some_and(|source| source.starts_with('/')) => {
            Err("must have source=, an absolute path, with type=bind".into())
        }
        (MountType::TMPFS, Some(_)) => Err("must have no source= with type=tmpfs".into()),
        _ => Ok(()),
    }
}

fn propagation(value: &str) -> Result<Propagation, String> {
    Ok(match value {
        "private" => Propagation::PRIVATE,
        "rprivate" => Propagation::RPRIVATE,
        "shared" => Propagation::SHARED,
        "rshared" => Propagation::RSHARED,
        "slave" => Propagation::SLAVE,
        "rslave" => Propagation::RSLAVE,
        _ => return Err(format!("has bind-propagation={value}, which there is not")),
    })
}

fn bind(mount: &mut Mount) -> &mut MountBindOptions {
    mount.bind_options.get_or_insert_default()
}

fn volume(mount: &mut Mount) -> &mut MountVolumeOptions {
    mount.volume_options.get_or_insert_default()
}

fn driver(mount: &mut Mount) -> &mut MountVolumeOptionsDriverConfig {
    volume(mount).driver_config.get_or_insert_default()
}

fn tmpfs(mount: &mut Mount) -> &mut MountTmpfsOptions {
    mount.tmpfs_options.get_or_insert_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_docker_run() {
        let bound = mount("type=bind,src=/a,dst=/b,readonly,bind-propagation=rslave").unwrap();
        assert_eq!((bound.typ, bound.read_only), (Some(MountType::BIND), Some(true)));
        assert_eq!((bound.source.as_deref(), bound.target.as_deref()), (Some("/a"), Some("/b")));
        assert_eq!(bound.bind_options.unwrap().propagation, Some(Propagation::RSLAVE));
        let kept =
            mount("source=data,target=/d,volume-driver=x,volume-opt=o=size=1m,volume-nocopy");
        let options = kept.unwrap().volume_options.unwrap();
        assert_eq!(options.no_copy, Some(true));
        let driver = options.driver_config.unwrap();
        assert_eq!(
            (driver.name.as_deref(), &*driver.options.unwrap()["o"]),
            (Some("x"), "size=1m")
        );
        let fleeting = mount("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770").unwrap();
        let options = fleeting.tmpfs_options.unwrap();
        assert_eq!((options.size_bytes, options.mode), (Some(1 << 20), Some(0o1770)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_field() {
        for (value, problem) in [
            ("type=npipe,target=/a", "has type=npipe"),
            ("source=a", "must have target="),
            ("type=bind,target=/a,source=b", "must have source=, an absolute path"),
            ("type=tmpfs,target=/a,source=b", "must have no source="),
            ("type=tmpfs,target=/a,volume-nocopy", "has a field volume-"),
            ("target=/a,readonly=perhaps", "has readonly, which must be true or false"),
            ("target=/a,colour=red", "has the field \"colour\""),
            ("type=bind,source=/a,target=/a,bind-propagation=x", "has bind-propagation=x"),
            ("type=tmpfs,target=/a,tmpfs-mode=9", "has a tmpfs-mode"),
        ] {
            let refused = mount(value).unwrap_err();
            assert!(refused.starts_with(problem), "{value}: {refused}");
        }
    }
}
