//! An agent that launches and destroys containers until it is killed, for tests that do so:
//! `supervisor <image_dir> <runtime_dir> <cgroups_root> <helper> <work_dir> [MODE]`. Modes:
//!
//! - `once`: it launches one, another in that, runs a command in it and ends when it has
//!   destroyed all;
//! - `whole IMAGE VOLUME FILE`: the same with one of all that takes files: an image that it pulls
//!   from a registry without TLS and copies, another as a volume, secrets and a fetched archive;
//! - `prune`: it removes images and ends;
//! - `pull IMAGE`: it pulls from a registry without TLS and ends.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use muster_containerizer::{
    CommandSpec, Config, ContainerSpec, Containerizer, ExecStatus, Fetching, ImageBackend,
    ImageLimits, ImageVolume, Isolation, Logger, Registries, Resources, Secret, SecretData, Uri,
    Volume, VolumeSource,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("an argument is missing");
    let image_dir = next()?.into();
    let runtime_dir = PathBuf::from(next()?);
    let mode: Vec<String> = std::env::args().skip(6).collect();
    let mode: Vec<&str> = mode.iter().map(String::as_str).collect();
    let host = mode.get(1).and_then(|image| image.split_once('/')).map(|(host, _)| host);
    let insecure = host.map(str::to_owned).into_iter().collect();
    let mut isolation = Isolation::default();
    if let ["whole", ..] = mode[..] {
        isolation.image_backends = ImageBackend::Copy.into();
    }
    let containerizer = Containerizer::new(Config {
        image_dir,
        fetching: Fetching::new(runtime_dir.join("fetch")),
        runtime_dir,
        cgroups_root: next()?,
        helper: next()?.into(),
        registries: Registries { insecure, ..Registries::default() },
        image_limits: ImageLimits::default(),
        logger: Logger::default(),
        isolation,
    })?;
    let work_dir = PathBuf::from(next()?);
    match mode[..] {
        ["prune"] => {
            containerizer.prune_images(&[])?;
            return Ok(());
        }
        ["pull", image] => {
            containerizer.pull_image(image, false)?;
            return Ok(());
        }
        _ => {}
    }
    for number in 0.. {
        let id = format!("{}-{number}", std::process::id());
        let sandbox = work_dir.join(&id);
        std::fs::create_dir_all(&sandbox)?;
        let spec = ContainerSpec {
            id: id.clone(),
            image: Some("busybox".into()),
            command: Some(CommandSpec::Shell("sleep 1000".into())),
            sandbox,
            resources: Resources { cpus_milli: 100, mem_bytes: 32 << 20, ..Resources::default() },
            ..ContainerSpec::default()
        };
        let spec = match mode[..] {
            ["whole", image, volume, file] => whole(spec, image, volume, file),
            _ => spec,
        };
        containerizer.launch(spec).await?;
        if !mode.is_empty() {
            let nested = ContainerSpec {
                id: "nested".into(),
                parent: Some(id.clone()),
                image: Some("busybox".into()),
                command: Some(CommandSpec::Shell("sleep 1000".into())),
                own_cgroups: true,
                resources: Resources { mem_bytes: 32 << 20, ..Resources::default() },
                ..ContainerSpec::default()
            };
            containerizer.launch(nested).await?;
            let command = CommandSpec::Shell("true".into());
            let status = containerizer.exec(&id, command, Duration::from_mins(1)).await?;
            assert_eq!(status, ExecStatus::Exited(0));
            containerizer.destroy(&id).await?;
            return Ok(());
        }
        containerizer.destroy(&id).await?;
    }
    Ok(())
}

/// The container with one of all that takes files.
fn whole(spec: ContainerSpec, image: &str, volume: &str, file: &str) -> ContainerSpec {
    let data = ImageVolume { name: volume.into(), config: None, force_pull: false };
    let sources = [
        ("/data", VolumeSource::Image(data)),
        ("/secret", VolumeSource::Secret(SecretData::new(b"secret".to_vec()))),
    ];
    let volumes = sources.map(|(container_path, source)| Volume {
        container_path: container_path.into(),
        source,
        read_only: false,
    });
    let value = file.into();
    let uri = Uri { value, executable: false, extract: true, cache: true, output_file: None };
    ContainerSpec {
        image: Some(image.into()),
        volumes: volumes.into(),
        secrets: vec![("TOKEN".into(), Secret::new("token".into()))],
        uris: vec![uri],
        ..spec
    }
}
