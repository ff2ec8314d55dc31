//! `bench launch`: `/bin/true` in a container, from its start to its end and removal, by
//! Muster's containerizer, a whole agent (from the master's message to the last that is left),
//! crun, runc and Docker, and by nothing but the kernel.
//!
//! All have the same root filesystem, namespaces (mount, pid, UTS, IPC), limits (cpu, mem,
//! pids), and system call filter. Muster and Docker mount an overlay for each container; crun
//! and runc are given one that is mounted already. The contestants take turns in short rounds,
//! in another order each time; ratios are those of the medians of one round.

mod bundle;
mod contestant;
mod docker;

use anyhow::Result;
use clap::Args;
use comfy_table::Table;
use muster_harness::image::Recipe;
use muster_harness::paths;

use super::build;
use super::record::{self, Record};
use super::site::Site;
use super::spread::{Spread, at};
use crate::ui::Ui;
use crate::{binary, image};
use contestant::{Contestant, Kind};

const BENCH: &str = "launch";
const CASE: &str = "/bin/true, from start to removal";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Rounds: in each, every contestant runs some containers
    #[arg(long, default_value_t = 30)]
    rounds: u32,
    /// Containers of each contestant in each round
    #[arg(long, default_value_t = 5)]
    each: u32,
    /// Containers for the rate
    #[arg(long, default_value_t = 500)]
    many: u32,
    /// Containers that run at the same time for the figure on memory
    #[arg(long, default_value_t = 100)]
    held: u32,
    /// Leave out Docker, which is slow
    #[arg(long)]
    no_docker: bool,
}

/// What one container took, in ms.
#[derive(Clone, Copy)]
struct Sample {
    wall: f64,
    processor: f64,
}

pub(super) fn run(ui: Ui, options: &Options, json: bool) -> Result<()> {
    let helper = binary::build(ui, true)?;
    build(ui, "muster-containerizer")?;
    build(ui, "muster-agent")?;
    image::ensure(ui, Recipe::Busybox, &paths::images())?;
    let site = Site::start(BENCH)?;
    let mut contestants = ui.step("start the contestants", |_| {
        let mut contestants = vec![Contestant::muster(&site, &helper)?];
        // Muster has extracted the image by now.
        contestants.push(Contestant::agent(&site, &helper)?);
        contestants.push(Contestant::floor(&site)?);
        contestants.push(Contestant::unshare(&site)?);
        contestants.push(Contestant::runtime(&site, Kind::Crun)?);
        contestants.push(Contestant::runtime(&site, Kind::Runc)?);
        if !options.no_docker {
            contestants.push(docker::start(&site)?);
        }
        Ok(contestants)
    })?;
    let samples = measure(ui, &mut contestants, options)?;
    let kinds: Vec<Kind> = contestants.iter().map(Contestant::kind).collect();
    let mut lines = report(ui, &kinds, &samples);
    for contestant in &mut contestants {
        if let Kind::Muster | Kind::Agent = contestant.kind() {
            lines.extend(scale(ui, contestant, options)?);
        }
    }
    if json {
        let path = record::write(BENCH, &lines)?;
        ui.say(format_args!("written to {}", path.display()));
    }
    Ok(())
}

/// By contestant, then by round.
fn measure(
    ui: Ui,
    contestants: &mut [Contestant],
    options: &Options,
) -> Result<Vec<Vec<Vec<Sample>>>> {
    let count = contestants.len();
    let mut samples = vec![Vec::new(); count];
    // What is done once only is done by now.
    for contestant in &mut *contestants {
        contestant.request("one")?;
    }
    for round in 0..options.rounds as usize {
        ui.step(&format!("round {} of {}", round + 1, options.rounds), |_| {
            for turn in 0..count {
                let index = (turn + round) % count;
                let mut own = Vec::new();
                for _ in 0..options.each {
                    let numbers = contestants[index].request("one")?;
                    own.push(Sample { wall: numbers[0] / 1e6, processor: numbers[1] / 1e6 });
                }
                samples[index].push(own);
            }
            Ok(())
        })?;
    }
    Ok(samples)
}

fn report(ui: Ui, kinds: &[Kind], samples: &[Vec<Vec<Sample>>]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut table = Table::new();
    table.set_header([
        CASE,
        "p50 in ms",
        "p99 in ms",
        "processor time, p50 in ms",
        "the containerizer is … times that (quartiles)",
        "the agent is … times that (quartiles)",
    ]);
    let medians = |rounds: &[Vec<Sample>]| -> Vec<f64> {
        let walls = |round: &Vec<Sample>| Spread::of(round.iter().map(|sample| sample.wall));
        rounds.iter().map(|round| walls(round).median).collect()
    };
    let own = [Kind::Muster, Kind::Agent].map(|own| {
        let place = kinds.iter().position(|kind| *kind == own);
        (own, place.map(|place| medians(&samples[place])).unwrap_or_default())
    });
    for (kind, rounds) in kinds.iter().zip(samples) {
        let mut walls: Vec<f64> = rounds.iter().flatten().map(|sample| sample.wall).collect();
        walls.sort_by(f64::total_cmp);
        let processor = Spread::of(rounds.iter().flatten().map(|sample| sample.processor)).median;
        let (p50, p99) = (at(&walls, 0.5), at(&walls, 0.99));
        let mut row = vec![
            kind.name().to_owned(),
            format!("{p50:.2}"),
            format!("{p99:.2}"),
            format!("{processor:.2}"),
        ];
        for (case, value) in [("p99", p99), ("processor time, p50", processor)] {
            lines.extend(line(case, kind.name(), value, "ms", None));
        }
        for (of, own) in &own {
            let ratio = Spread::of(own.iter().zip(medians(rounds)).map(|(own, its)| own / its));
            row.push(if kind == of { String::new() } else { ratio.to_string() });
            if kind != of {
                let ratio = Some((of.name(), ratio.median));
                lines.extend(line("p50", kind.name(), p50, "ms", ratio));
            }
        }
        table.add_row(row);
    }
    ui.say(table);
    lines
}

/// Many containers at a time, and many that run.
fn scale(ui: Ui, muster: &mut Contestant, options: &Options) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut table = Table::new();
    let name = muster.kind().name();
    table.set_header([name, "measured", ""]);
    let mut add = |case: String, value: f64, unit: &str| {
        table.add_row([case.clone(), format!("{value:.1}"), unit.to_owned()]);
        lines.extend(line(&case, name, value, unit, None));
    };
    let many = options.many;
    for width in [1, 2, 8, 32] {
        let numbers = muster.request(&format!("many {many} {width}"))?;
        let rate = f64::from(many) / (numbers[0] / 1e9);
        add(format!("started and stopped, {width} at a time"), rate, "1/s");
    }
    let numbers = muster.request(&format!("hold {}", options.held))?;
    let names = [
        "of the agent for each that runs",
        "of its helper, private",
        "of its helper, with its part of what is shared",
    ];
    for (name, bytes) in names.into_iter().zip(numbers) {
        add(name.to_owned(), bytes / 1024.0, "KiB");
    }
    ui.say(table);
    Ok(lines)
}

/// A figure of `subject`; `ratio` is another's figure, by its name, divided by this one.
fn line(
    case: &str,
    subject: &str,
    value: f64,
    unit: &str,
    ratio: Option<(&str, f64)>,
) -> Option<String> {
    let (ratio_to, ratio) = ratio.unzip();
    serde_json::to_string(&Record { bench: BENCH, case, subject, value, unit, ratio_to, ratio })
        .ok()
}
