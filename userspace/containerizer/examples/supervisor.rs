//! An agent that launches and destroys containers until it is killed, for tests that do so:
//! `supervisor <image_dir> <runtime_dir> <cgroups_root> <helper> <work_dir> [once|prune|pull IMAGE]`.
//! With `once` it launches one, another in that, runs a command in it and ends when it has destroyed
//! all; with `prune` it removes images and ends; with `pull` it pulls from a registry without TLS and ends.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use muster_containerizer::{
    CommandSpec, Config, ContainerSpec, Containerizer, ExecStatus, Fetching, ImageLimits,
    Isolation, Logger, Registries, Resources,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("an argument is missing");
    let image_dir = next()?.into();
    let runtime_dir = PathBuf::from(next()?);
    let image = std::env::args().nth(7);
    let host = image.as_deref().and_then(|image| image.split_once('/')).map(|(host, _)| host);
    let insecure = host.map(str::to_owned).into_iter().collect();
    let containerizer = Containerizer::new(Config {
        image_dir,
        fetching: Fetching::new(runtime_dir.join("fetch")),
        runtime_dir,
        cgroups_root: next()?,
        helper: next()?.into(),
        registries: Registries { insecure, ..Registries::default() },
        image_limits: ImageLimits::default(),
        logger: Logger::default(),
        isolation: Isolation::default(),
    })?;
    let work_dir = PathBuf::from(next()?);
    let mode = next();
    if mode.as_deref().is_ok_and(|mode| mode == "prune") {
        containerizer.prune_images(&[])?;
        return Ok(());
    }
    if let Some(image) = image {
        containerizer.pull_image(&image, false)?;
        return Ok(());
    }
    let once = mode.is_ok();
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
        containerizer.launch(spec).await?;
        if once {
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
