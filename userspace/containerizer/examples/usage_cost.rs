//! What it costs to ask containers what they use: `usage_cost [CONTAINERS] [ROUNDS]`, as root.
//! Prints the CPU time for one container: as many milliseconds for 1,000.

use std::error::Error;
use std::path::Path;

use muster_containerizer::{
    CommandSpec, Config, ContainerSpec, Containerizer, Fetching, ImageLimits, Isolation, Logger,
    Registries, Resources,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: usize| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (containers, rounds) = (number(100)?, number(30)?);
    let directory = std::env::temp_dir().join(format!("usage-cost-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let measured = runtime.block_on(measure(&directory, containers, rounds));
    std::fs::remove_dir_all(&directory)?;
    measured
}

async fn measure(directory: &Path, containers: usize, rounds: usize) -> Result<(), Box<dyn Error>> {
    let own = std::env::current_exe()?;
    let containerizer = Containerizer::new(Config {
        image_dir: directory.join("images"),
        runtime_dir: directory.join("run"),
        cgroups_root: format!("muster-usage-cost/{}", std::process::id()),
        helper: own.with_file_name("launch"),
        registries: Registries::default(),
        fetching: Fetching::new(directory.join("fetch")),
        logger: Logger::default(),
        image_limits: ImageLimits::default(),
        isolation: Isolation::default(),
    })?;
    let result = rounds_of(&containerizer, directory, containers, rounds).await;
    containerizer.destroy_all().await?;
    result
}

async fn rounds_of(
    containerizer: &Containerizer,
    directory: &Path,
    containers: usize,
    rounds: usize,
) -> Result<(), Box<dyn Error>> {
    let mut ids = Vec::new();
    for number in 0..containers {
        let id = format!("c{number}");
        let sandbox = directory.join(&id);
        std::fs::create_dir_all(&sandbox)?;
        containerizer
            .launch(ContainerSpec {
                id: id.clone(),
                command: Some(CommandSpec::Shell("sleep 1000".into())),
                sandbox,
                resources: Resources {
                    cpus_milli: 10,
                    mem_bytes: 32 << 20,
                    ..Resources::default()
                },
                ..ContainerSpec::default()
            })
            .await?;
        ids.push(id);
    }
    let before = cpu_time()?;
    for _ in 0..rounds {
        for id in &ids {
            let usage = containerizer.usage(id)?;
            if usage.mem_total_bytes.is_none() || usage.processes.is_none() {
                return Err(format!("{id} is not counted: {usage:?}").into());
            }
        }
    }
    let micros = (cpu_time()? - before) / 1000 / (containers * rounds) as u64;
    println!("{containers} containers, {rounds} rounds: {micros} us of CPU time each");
    Ok(())
}

/// The nanoseconds that this thread has been on a CPU (`/proc/thread-self/schedstat`).
fn cpu_time() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("an empty schedstat")?.parse()?)
}
