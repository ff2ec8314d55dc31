//! `bench unpack`: an image of 500 MB, from its layout to a root filesystem, by Muster and by
//! umoci.
//!
//! Both read the same layout, which umoci has made of files of this machine's /usr: as one
//! layer, and as five. Muster's part ends when a container of the image has run `/bin/true`.
//! They take turns, each first in every other round and each on a file system of its own that is
//! new; neither waits for the disk.

mod disk;
mod layout;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use comfy_table::Table;
use muster_harness::cgroup::Cgroup;
use muster_harness::{command, paths};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use self::disk::Disk;
use super::build;
use super::record::{self, Record};
use super::site::Site;
use super::spread::Spread;
use crate::binary;
use crate::ui::Ui;

const BENCH: &str = "unpack";
const NAMES: [&str; 2] = ["muster", "umoci unpack"];
/// Images by their names, and how many layers they have.
const IMAGES: [(&str, usize); 2] = [("one-layer", 1), ("five-layers", 5)];
/// What a file system takes for itself, in bytes.
const ROOM: u64 = 1 << 30;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Rounds: in each, both unpack both images
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Size of the files in the image, in MB
    #[arg(long, default_value_t = 500)]
    megabytes: u64,
}

/// What one took, in ms.
#[derive(Clone, Copy)]
struct Sample {
    wall: f64,
    processor: f64,
}

pub(super) fn run(ui: Ui, options: &Options, json: bool) -> Result<()> {
    let helper = binary::build(ui, true)?;
    build(ui, "muster-containerizer")?;
    let site = Site::start(BENCH)?;
    let work = site.directory(BENCH)?;
    let images = work.join("images");
    fs::create_dir(&images)?;
    ui.step("make the images", |_| {
        for (name, layers) in IMAGES {
            layout::make(&images.join(name), &work.join("files"), options.megabytes, layers)?;
        }
        Ok(())
    })?;
    let root = format!("muster/{}", site.name("agent"));
    // Removed with the site.
    Cgroup::create(&root)?;
    let mut samples = vec![[Vec::new(), Vec::new()]; IMAGES.len()];
    for round in 0..options.rounds as usize {
        ui.step(&format!("round {} of {}", round + 1, options.rounds), |_| {
            for ((image, _), samples) in IMAGES.iter().zip(&mut samples) {
                for turn in 0..2 {
                    let who = (turn + round) % 2;
                    let disk = Disk::new(&work, 3 * (options.megabytes << 20) + ROOM)?;
                    samples[who].push(if who == 0 {
                        muster(&images, &disk.at, &helper, &root, image)?
                    } else {
                        umoci(&images, &disk.at, image)?
                    });
                }
            }
            Ok(())
        })?;
    }
    let lines = report(ui, &samples);
    if json {
        let path = record::write(BENCH, &lines)?;
        ui.say(format_args!("written to {}", path.display()));
    }
    Ok(())
}

fn muster(
    images: &Path,
    work: &Path,
    helper: &PathBuf,
    cgroups: &str,
    image: &str,
) -> Result<Sample> {
    let store = work.join("images");
    fs::create_dir(&store).context("mkdir images")?;
    symlink(images.join(image), store.join(image)).context("symlink of the layout")?;
    let mut unpack = Command::new(paths::target().join("release/examples/unpack"));
    unpack.arg(&store).arg(work.join("muster")).arg(helper).arg(cgroups).arg(image);
    let start = Instant::now();
    let mut child = unpack.stdout(Stdio::piped()).spawn().context("run unpack")?;
    let mut line = String::new();
    let output = child.stdout.take().context("unpack has no output")?;
    let mut output = BufReader::new(output);
    output.read_line(&mut line)?;
    // What is left is for the disk.
    let wall = start.elapsed();
    output.read_to_string(&mut String::new())?;
    ensure!(child.wait()?.success(), "unpack failed; it said why above");
    let spent: u64 = line.trim().parse().with_context(|| format!("unpack says {line:?}"))?;
    Ok(sample(wall, Duration::from_nanos(spent)))
}

fn umoci(images: &Path, work: &Path, image: &str) -> Result<Sample> {
    let mut unpack = Command::new("umoci");
    unpack.args(["unpack", "--image", &format!("{}:latest", images.join(image).display())]);
    unpack.arg(work.join("bundle"));
    let before = children()?;
    let start = Instant::now();
    command::output(&mut unpack)?;
    Ok(sample(start.elapsed(), children()?.saturating_sub(before)))
}

/// Processor time of the programs that this one has started and that have ended.
fn children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let spent = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(spent.try_into()?))
}

fn sample(wall: Duration, processor: Duration) -> Sample {
    Sample { wall: wall.as_secs_f64() * 1e3, processor: processor.as_secs_f64() * 1e3 }
}

fn report(ui: Ui, samples: &[[Vec<Sample>; 2]]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut table = Table::new();
    table.set_header([
        "image",
        "by",
        "p50 in ms",
        "processor time, p50 in ms",
        "muster is … times that (quartiles)",
    ]);
    for ((image, _), samples) in IMAGES.iter().zip(samples) {
        for (name, own) in NAMES.iter().zip(samples) {
            let wall = Spread::of(own.iter().map(|sample| sample.wall)).median;
            let processor = Spread::of(own.iter().map(|sample| sample.processor)).median;
            let pairs = samples[0].iter().zip(own);
            let ratio = Spread::of(pairs.map(|(muster, own)| muster.wall / own.wall));
            let other = *name != NAMES[0];
            table.add_row([
                (*image).to_owned(),
                (*name).to_owned(),
                format!("{wall:.0}"),
                format!("{processor:.0}"),
                if other { ratio.to_string() } else { String::new() },
            ]);
            for (what, value) in [("p50", wall), ("processor time, p50", processor)] {
                let ratio = (other && what == "p50").then_some(ratio.median);
                let record = Record {
                    bench: BENCH,
                    case: &format!("{image}, {what}"),
                    subject: name,
                    value,
                    unit: "ms",
                    ratio_to: ratio.map(|_| NAMES[0]),
                    ratio,
                };
                lines.extend(serde_json::to_string(&record).ok());
            }
        }
    }
    ui.say(table);
    lines
}
