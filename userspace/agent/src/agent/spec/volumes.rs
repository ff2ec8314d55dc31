//! What files a task wants to be given.

use std::path::{Path, PathBuf};

use muster_api::mesos::mount_propagation::Mode as Spread;
use muster_api::mesos::volume::source::sandbox_path::Type as Whose;
use muster_api::mesos::volume::source::{HostPath, SandboxPath, Type};
use muster_api::mesos::volume::{Mode, Source};
use muster_api::mesos::{self, MountPropagation, Volume as Info, secret};
use muster_containerizer::{ImageVolume, Propagation, SecretData, Volume, VolumeSource};

use super::{Invalid, Wanted, image_of};

/// The volumes of a task, in their order.
pub(super) fn volumes(volumes: &[Info]) -> Result<Vec<Volume>, Invalid> {
    let volumes = volumes.iter().enumerate();
    volumes.map(|(index, info)| volume(&format!("container.volumes[{index}]"), info)).collect()
}

fn volume(field: &str, info: &Info) -> Result<Volume, Invalid> {
    let refuse = |name: &str, problem: &str| Err(Invalid::new(format!("{field}.{name}"), problem));
    let source = match (&info.source, info.host_path.as_deref(), &info.image) {
        (None, None, Some(image)) => self::image(field, image)?,
        (_, _, Some(_)) => return refuse("image", "excludes source and host_path"),
        (Some(_), Some(_), _) => return refuse("host_path", "and source exclude each other"),
        (None, None, None) => return refuse("source", "is missing, and so is host_path"),
        (None, Some(path), _) if Path::new(path).is_absolute() => {
            VolumeSource::HostPath { path: path.into(), propagation: Propagation::Private }
        }
        // As in Mesos since it has had volumes.
        (None, Some(path), _) => VolumeSource::SandboxPath { path: path.into(), parent: false },
        (Some(source), None, _) => self::source(field, source)?,
    };
    let read_only = match Mode::try_from(info.mode) {
        Ok(Mode::Rw) => false,
        Ok(Mode::Ro) => true,
        Err(_) => return refuse("mode", "is neither RW nor RO"),
    };
    Ok(Volume { container_path: PathBuf::from(&info.container_path), source, read_only })
}

/// The root filesystem of an image.
fn image(field: &str, image: &mesos::Image) -> Result<VolumeSource, Invalid> {
    let Wanted { name, config, force_pull } = image_of(&format!("{field}.image"), image)?;
    Ok(VolumeSource::Image(ImageVolume { name, config, force_pull }))
}

fn source(field: &str, source: &Source) -> Result<VolumeSource, Invalid> {
    let invalid = |name: &str, problem: &str| {
        Invalid::new(format!("{field}.source.{name}"), problem.to_owned())
    };
    match source.r#type() {
        Type::HostPath => {
            let host = source.host_path.as_ref().ok_or_else(|| invalid("host_path", "is missing"));
            let HostPath { path, mount_propagation } = host?;
            let propagation = match mount_propagation.as_ref().map(MountPropagation::mode) {
                None | Some(Spread::Unknown) => Propagation::Private,
                Some(Spread::HostToContainer) => Propagation::HostToContainer,
                Some(Spread::Bidirectional) => Propagation::Bidirectional,
            };
            Ok(VolumeSource::HostPath { path: path.into(), propagation })
        }
        Type::SandboxPath => {
            let own = source.sandbox_path.as_ref();
            let SandboxPath { r#type, path } =
                own.ok_or_else(|| invalid("sandbox_path", "is missing"))?;
            let parent = match r#type.map(Whose::try_from) {
                Some(Ok(Whose::Self_)) => false,
                Some(Ok(Whose::Parent)) => true,
                _ => return Err(invalid("sandbox_path.type", "is neither SELF nor PARENT")),
            };
            Ok(VolumeSource::SandboxPath { path: path.into(), parent })
        }
        Type::Secret => {
            let secret = source.secret.as_ref().ok_or_else(|| invalid("secret", "is missing"))?;
            match (secret.r#type(), &secret.value) {
                (secret::Type::Reference, _) => {
                    Err(invalid("secret", "is a reference, and this agent has no secret store"))
                }
                (_, Some(value)) if value.data.len() > SecretData::MAX => {
                    Err(invalid("secret", "has more than 1 MB"))
                }
                (secret::Type::Value, Some(value)) => {
                    Ok(VolumeSource::Secret(SecretData::new(value.data.clone())))
                }
                _ => Err(invalid("secret", "has no value")),
            }
        }
        Type::Unknown => Err(invalid("type", "is missing")),
        other => {
            let problem = format!("{} is not supported by this agent", other.as_str_name());
            Err(invalid("type", &problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::volume::source::DockerVolume;
    use muster_api::mesos::{self, Image};

    use super::*;

    fn info() -> Info {
        Info { container_path: "/data".into(), mode: Mode::Rw.into(), ..Default::default() }
    }

    fn made(info: Info) -> Result<Volume, String> {
        let volumes = volumes(&[info]).map_err(|invalid| invalid.to_string());
        volumes.map(|mut volumes| volumes.remove(0))
    }

    fn from(source: Source) -> Result<VolumeSource, String> {
        made(Info { source: Some(source), ..info() }).map(|volume| volume.source)
    }

    #[test]
    fn paths_of_the_host_and_of_the_sandbox() {
        let with = |path: &str| Info { host_path: Some(path.into()), ..info() };
        let volume = made(Info { mode: Mode::Ro.into(), ..with("/srv") }).unwrap();
        let host =
            VolumeSource::HostPath { path: "/srv".into(), propagation: Propagation::Private };
        assert_eq!((volume.source, volume.read_only), (host, true));
        assert_eq!(volume.container_path.to_str(), Some("/data"));
        let sandbox = |parent| VolumeSource::SandboxPath { path: "srv".into(), parent };
        assert_eq!(made(with("srv")).unwrap().source, sandbox(false));
        for (whose, parent) in [(Whose::Self_, false), (Whose::Parent, true)] {
            let path = SandboxPath { r#type: Some(whose.into()), path: "srv".into() };
            let source = Source {
                r#type: Some(Type::SandboxPath.into()),
                sandbox_path: Some(path),
                ..Default::default()
            };
            assert_eq!(from(source), Ok(sandbox(parent)));
        }
        let mode = Some(Spread::Bidirectional.into());
        let source = Source {
            r#type: Some(Type::HostPath.into()),
            host_path: Some(HostPath {
                path: "/srv".into(),
                mount_propagation: Some(MountPropagation { mode }),
            }),
            ..Default::default()
        };
        let propagation = Propagation::Bidirectional;
        assert_eq!(from(source), Ok(VolumeSource::HostPath { path: "/srv".into(), propagation }));
    }

    fn of_secret(kind: secret::Type, data: Option<Vec<u8>>) -> Info {
        let value = data.map(|data| secret::Value { data });
        let secret = mesos::Secret { r#type: Some(kind.into()), value, reference: None };
        let r#type = Some(Type::Secret.into());
        Info {
            source: Some(Source { r#type, secret: Some(secret), ..Source::default() }),
            ..info()
        }
    }

    #[test]
    fn secrets_by_value() {
        let volume = made(of_secret(secret::Type::Value, Some(b"hush".to_vec()))).unwrap();
        assert_eq!(volume.source, VolumeSource::Secret(SecretData::new(b"hush".to_vec())));
    }

    #[test]
    fn an_image_is_a_volume() {
        let docker = mesos::image::Docker { name: "data:1".into(), ..Default::default() };
        let image = Image {
            r#type: mesos::image::Type::Docker.into(),
            docker: Some(docker),
            cached: Some(false),
            ..Default::default()
        };
        let volume = made(Info { image: Some(image), ..info() }).unwrap();
        let image = ImageVolume { name: "data:1".into(), config: None, force_pull: true };
        assert_eq!((volume.source, volume.read_only), (VolumeSource::Image(image), false));
    }

    #[test]
    fn what_cannot_be_given_is_refused_by_name() {
        let of = |kind: Type| Source { r#type: Some(kind.into()), ..Default::default() };
        let docker =
            Source { docker_volume: Some(DockerVolume::default()), ..of(Type::DockerVolume) };
        let cases = [
            (info(), "source is missing, and so is host_path"),
            (Info { mode: 7, host_path: Some("/x".into()), ..info() }, "mode is neither RW nor RO"),
            (Info { image: Some(Image::default()), ..info() }, "image.type must be DOCKER"),
            (
                Info { image: Some(Image::default()), host_path: Some("/x".into()), ..info() },
                "image excludes source and host_path",
            ),
            (Info { source: Some(Source::default()), ..info() }, "source.type is missing"),
            (
                Info { source: Some(docker), ..info() },
                "source.type DOCKER_VOLUME is not supported by this agent",
            ),
            (Info { source: Some(of(Type::Secret)), ..info() }, "source.secret is missing"),
            (
                of_secret(secret::Type::Reference, None),
                "source.secret is a reference, and this agent has no secret store",
            ),
            (of_secret(secret::Type::Value, None), "source.secret has no value"),
            (
                of_secret(secret::Type::Value, Some(vec![0; SecretData::MAX + 1])),
                "source.secret has more than 1 MB",
            ),
            (Info { source: Some(of(Type::HostPath)), ..info() }, "source.host_path is missing"),
            (
                Info { source: Some(of(Type::HostPath)), host_path: Some("/x".into()), ..info() },
                "host_path and source exclude each other",
            ),
        ];
        for (info, problem) in cases {
            let error = made(info).unwrap_err();
            assert!(error.starts_with(&format!("container.volumes[0].{problem}")), "{error}");
        }
    }
}
