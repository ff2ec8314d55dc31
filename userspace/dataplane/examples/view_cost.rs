//! What the cluster view costs an agent: time to apply it and a change of it, and memory.
//!
//! `cargo run --release -p muster-dataplane --example view_cost -- [VIPS [BACKENDS [ROUNDS]]]`
//!
//! Each VIP has backends of its own. It is compared what it takes to apply a change of one backend's
//! weight by the whole view, and by the VIP alone. Needs root.
#![forbid(unsafe_code)]

#[path = "measure/config.rs"]
mod config;

use std::{
    env, fs,
    net::Ipv4Addr,
    os::fd::{AsFd as _, AsRawFd as _},
    process::ExitCode,
    time::{Duration, Instant},
};

use aya::maps::MapData;
use muster_api::muster::{Backend, Vip, VipKey};
use muster_dataplane::{Config, DataPlane, Forward, Protocol};
use nix::time::{ClockId, clock_gettime};

type Failure = Box<dyn std::error::Error>;

/// Maps whose memory grows with the view.
const MAPS: [&str; 3] = ["vips", "backends", "counted"];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("view_cost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut given = env::args().skip(1);
    let mut number = |name: &str, default: usize, most: usize| match given.next() {
        None => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|number| (1..=most).contains(number))
            .ok_or_else(|| format!("{name} {text:?}: must be a number from 1 to {most}")),
    };
    let vips = number("VIPS", 10_000, 32_768)?;
    let backends = number("BACKENDS", 10, 65_536)?;
    let rounds = number("ROUNDS", 200, 1_000_000)?;
    let config = config::config(Forward::default())?;
    let measured = measure(&config, vips, backends, rounds);
    let removed = DataPlane::remove(&config);
    measured?;
    Ok(removed?)
}

fn measure(config: &Config, vips: usize, backends: usize, rounds: usize) -> Result<(), Failure> {
    let mut plane = DataPlane::open(config)?;
    let empty = resident()?;
    let none = memory(config)?;
    let mut view: Vec<Vip> = (0..vips).map(|number| vip(number, 0)).collect();
    plane.reconcile(&view)?;
    let without = memory(config)?;
    let agent_without = resident()?;
    plane.reconcile(&[])?;
    for (number, vip_of) in view.iter_mut().enumerate() {
        *vip_of = vip(number, backends);
    }
    let start = Instant::now();
    let changes = plane.reconcile(&view)?;
    let load = start.elapsed();
    if let Some(skipped) = changes.skipped.first() {
        return Err(skipped.to_string().into());
    }
    let calls: u64 = changes.writes.values().sum();
    println!("{vips} VIPs of {backends} backends: {load:?}, {calls} calls that write to maps");
    let with = memory(config)?;
    let agent_with = resident()?;

    let (mut whole, mut alone) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let at = round * 7919 % vips;
        let backend = view[at].backends.first_mut().ok_or("no backend")?;
        backend.weight = 1 + backend.weight % 2;
        let (start, before) = (Instant::now(), processor_time()?);
        let changes = if round % 2 == 0 {
            plane.reconcile(&view)?
        } else {
            plane.update(std::slice::from_ref(&view[at]), &[])?
        };
        let took = (processor_time()?.saturating_sub(before), start.elapsed());
        if changes.changed != 1 {
            return Err(format!("{} VIPs changed instead of one", changes.changed).into());
        }
        if round < 2 {
            println!("one backend's weight: {:?}", changes.writes);
        }
        if round % 2 == 0 { &mut whole } else { &mut alone }.push(took);
    }
    for (how, took) in [("the whole view", &mut whole), ("the VIP alone", &mut alone)] {
        let waited = median(took.iter().map(|(_, waited)| *waited).collect());
        let worked = median(took.iter().map(|(worked, _)| *worked).collect());
        println!("by {how}: median {worked:?} of a processor, {waited:?} with waiting");
    }
    for (at, map) in MAPS.iter().enumerate() {
        println!(
            "map {map}: {} bytes empty, {} for a VIP, {} for a backend",
            none[at],
            (without[at] - none[at]) / vips,
            (with[at] - without[at]) / (vips * backends)
        );
    }
    println!(
        "this process, with the view itself: {} KiB for {vips} VIPs, {} KiB with their backends",
        (agent_without.saturating_sub(empty)) / 1024,
        (agent_with.saturating_sub(empty)) / 1024
    );
    Ok(())
}

fn vip(number: usize, backends: usize) -> Vip {
    let bits = u32::try_from(number).unwrap_or(0);
    let address = |net: u8| (Ipv4Addr::from(u32::from(net) << 24 | bits)).to_string();
    let backends = (0..backends).map(|port| Backend {
        address: address(10),
        port: 1 + u32::try_from(port).unwrap_or(0),
        weight: 1,
        agent_id: "4f4b8c9e-S1".to_owned(),
        task_id: format!("web.instance-{number}.{port}"),
    });
    Vip {
        key: Some(VipKey { address: address(11), port: 80, protocol: Protocol::Tcp.into() }),
        name: format!("web-{number}.marathon.l4lb.thisdcos.directory"),
        backends: backends.collect(),
        ..Vip::default()
    }
}

/// Bytes of kernel memory of each map. Linux 6.4 and later know what is in use.
fn memory(config: &Config) -> Result<Vec<usize>, Failure> {
    let of = |map: &&str| {
        let data = MapData::from_pin(config.directory()?.join(map))?;
        let path = format!("/proc/self/fdinfo/{}", data.fd().as_fd().as_raw_fd());
        let info = fs::read_to_string(path)?;
        let bytes = info.lines().find_map(|line| line.strip_prefix("memlock:"));
        Ok(bytes.ok_or("no memlock in fdinfo")?.trim().parse()?)
    };
    MAPS.iter().map(of).collect()
}

/// Bytes of memory of this process.
fn resident() -> Result<usize, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
}

/// How long processors have worked for this process, in the kernel too.
fn processor_time() -> Result<Duration, Failure> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
