//! What it costs to make an image ready that is extracted for the first time, up to where a
//! container of it has run `/bin/true`. `cargo xtask bench unpack` runs this.
//!
//! `unpack IMAGE_DIR WORK_DIR HELPER CGROUPS_ROOT IMAGE` prints the processor time that was
//! spent, in nanoseconds.

use std::error::Error;
use std::path::Path;

use muster_containerizer::{
    CommandSpec, Config, ContainerSpec, Containerizer, Fetching, ImageLimits, Isolation, Logger,
    Registries, Resources, Termination,
};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [images, work, helper, cgroups, image] = arguments.as_slice() else {
        return Err("unpack IMAGE_DIR WORK_DIR HELPER CGROUPS_ROOT IMAGE".into());
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let containerizer = Containerizer::new(Config {
            image_dir: images.into(),
            runtime_dir: Path::new(work).join("run"),
            cgroups_root: cgroups.clone(),
            helper: helper.into(),
            registries: Registries::default(),
            fetching: Fetching::new(Path::new(work).join("fetch")),
            image_limits: ImageLimits::default(),
            logger: Logger::default(),
            isolation: Isolation::default(),
        })?;
        let sandbox = Path::new(work).join("sandbox");
        std::fs::create_dir_all(&sandbox)?;
        let resources = Resources { cpus_milli: 1000, mem_bytes: 64 << 20, ..Resources::default() };
        let spec = ContainerSpec {
            id: "unpack".into(),
            image: Some(image.clone()),
            command: Some(CommandSpec::Argv(vec!["/bin/true".into()])),
            sandbox,
            resources,
            ..ContainerSpec::default()
        };
        containerizer.launch(spec).await?;
        let ended = containerizer.wait("unpack").await?;
        if ended != Termination::Exited(0) {
            return Err(format!("{ended:?}").into());
        }
        containerizer.destroy("unpack").await?;
        let mut spent = 0;
        for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
            let usage = getrusage(who)?;
            spent += usage.user_time().num_nanoseconds() + usage.system_time().num_nanoseconds();
        }
        println!("{spent}");
        Ok(())
    })
}
