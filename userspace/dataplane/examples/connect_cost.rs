//! What a VIP adds to `connect()`, in ns, by the number of VIPs.
//!
//! `cargo run --release -p muster-dataplane --example connect_cost -- [--json] [--rounds N]`
//!
//! UDP sockets are connected over and over: a system call and nothing else, so what the hook
//! adds is not lost in the noise of a handshake. A socket made inside the agent's cgroup
//! takes turns with one made outside, in short rounds; the figure is the median of the
//! rounds' differences, with the quartiles.

use std::{
    env, fs, io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    path::{Path, PathBuf},
    process::{self, Command, ExitCode},
};

use muster_api::muster::{Backend, Vip, VipKey};
use muster_dataplane::{Config, DataPlane, Protocol, cgroup2_mount};
use nix::{
    sched::{CloneFlags, unshare},
    time::{ClockId, clock_gettime},
};
use serde_json::json;

const COUNTS: [usize; 3] = [10, 1_000, 10_000];
const BACKENDS: usize = 10;
/// In one round of one arm: well below a scheduler's time slice.
const CONNECTS: usize = 250;

type Failure = Box<dyn std::error::Error>;

/// Settings from the command line.
struct Arguments {
    json: bool,
    rounds: usize,
}

/// This process' way into the agent's cgroup and back.
struct Cgroups {
    inside: PathBuf,
    outside: PathBuf,
}

/// Ends the data plane, however the measurement ends.
struct Cleanup(Config, Cgroups);

/// The median and the quartiles, ns per `connect()`.
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

// === impl Cgroups ===

impl Cgroups {
    fn enter(cgroup: &Path) -> io::Result<()> {
        fs::write(cgroup.join("cgroup.procs"), process::id().to_string())
    }

    /// A socket that belongs to the cgroup: sockets stay with the one they were made in.
    fn socket(cgroup: &Path) -> io::Result<UdpSocket> {
        Self::enter(cgroup)?;
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        let left = Cgroups::enter(&self.1.outside);
        if let Err(error) = left {
            eprintln!("{}: {error}", self.1.outside.display());
        }
        if let Err(error) = DataPlane::remove(&self.0) {
            eprintln!("{error}");
        }
    }
}

// === impl Spread ===

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |part: usize| values.get(values.len() * part / 4).copied().unwrap_or(f64::NAN);
        Self { low: at(1), median: at(2), high: at(3) }
    }
}

fn main() -> ExitCode {
    match arguments(env::args().skip(1)).and_then(|arguments| measure(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("connect_cost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments, Failure> {
    let mut arguments = Arguments { json: false, rounds: 2_000 };
    while let Some(name) = given.next() {
        match name.as_str() {
            "--json" => arguments.json = true,
            "--rounds" => {
                let value = given.next().unwrap_or_default();
                arguments.rounds = value
                    .parse()
                    .ok()
                    .filter(|rounds| *rounds > 0)
                    .ok_or_else(|| format!("--rounds {value:?}: must be a number above 0"))?;
            }
            other => {
                return Err(format!("{other}: unknown; --json and --rounds N are known").into());
            }
        }
    }
    Ok(arguments)
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let root = cgroup2_mount().ok_or("no cgroup v2 tree is mounted")?;
    let mine = procfs::process::Process::myself()?.cgroups()?;
    let mine = mine.into_iter().find(|group| group.hierarchy == 0).ok_or("not in cgroup v2")?;
    let name = format!("muster-bench-{}", process::id());
    let config = Config {
        agent: name.clone(),
        bpffs: PathBuf::from("/sys/fs/bpf"),
        cgroup: root.join(name),
    };
    let outside = root.join(mine.pathname.trim_start_matches('/'));

    // A network of this process' own, which ends with it.
    unshare(CloneFlags::CLONE_NEWNET)?;
    if !Command::new("ip").args(["link", "set", "lo", "up"]).status()?.success() {
        return Err("ip link set lo up failed".into());
    }
    let plane = DataPlane::open(&config)?;
    let cgroups = Cgroups { inside: config.cgroup.clone(), outside };
    let cleanup = Cleanup(config, cgroups);
    let result = measure_all(arguments, plane, &cleanup.1);
    drop(cleanup);
    result
}

fn measure_all(
    arguments: &Arguments,
    mut plane: DataPlane,
    cgroups: &Cgroups,
) -> Result<(), Failure> {
    for count in COUNTS {
        let changes = plane.reconcile(&(0..count).map(vip).collect::<Vec<_>>())?;
        if let Some(skipped) = changes.skipped.first() {
            return Err(skipped.to_string().into());
        }
        let inside = Cgroups::socket(&cgroups.inside)?;
        let outside = Cgroups::socket(&cgroups.outside)?;
        let others: Vec<_> = (0..CONNECTS).map(|n| backend_address(n % BACKENDS)).collect();
        let one = vec![vip_address(count / 2); CONNECTS];

        // Not a figure without this: the sockets are where they should be.
        inside.connect(one[0])?;
        if outside.connect(one[0]).is_ok() {
            return Err("the socket outside reaches the VIP".into());
        }

        let mut ns: [Vec<f64>; 3] = Default::default();
        let mut direct = Vec::new();
        for round in 0..arguments.rounds {
            // A stretch of the VIPs that no cache foresees, another one each round.
            let any: Vec<_> = (0..CONNECTS)
                .map(|n| vip_address((round * CONNECTS + n) * 7_919 % count))
                .collect();
            let arms = [(&inside, &one), (&inside, &any), (&inside, &others), (&outside, &others)];
            let mut took = [0.0; 4];
            // Every arm comes first in turn, against drift.
            for turn in 0..arms.len() {
                let arm = (turn + round) % arms.len();
                let (socket, addresses) = arms[arm];
                took[arm] = ns_per_connect(socket, addresses)?;
            }
            for (all, took_here) in ns.iter_mut().zip(took) {
                all.push(took_here - took[3]);
            }
            direct.push(took[3]);
        }
        let direct = Spread::of(direct);
        for (case, added) in ["one VIP", "any VIP", "no VIP"].into_iter().zip(ns) {
            report(arguments, count, case, &Spread::of(added), &direct);
        }
    }
    Ok(())
}

fn ns_per_connect(socket: &UdpSocket, addresses: &[SocketAddrV4]) -> io::Result<f64> {
    let start = now_ns()?;
    for address in addresses {
        socket.connect(address)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
    Ok((now_ns()? - start) as f64 / addresses.len() as f64)
}

/// Processor time of this thread: what others do on the machine is not counted.
fn now_ns() -> io::Result<i64> {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}

/// `case` is where the sockets connect to: always the same VIP, any of them (so that none
/// is in the processor's caches), or an address that is no VIP.
fn report(arguments: &Arguments, count: usize, case: &str, added: &Spread, direct: &Spread) {
    if arguments.json {
        let line = json!({
            "bench": "connect_cost",
            "case": format!("{count} VIPs, to {case}"),
            "subject": "muster",
            "value": added.median.round(),
            "low": added.low.round(),
            "high": added.high.round(),
            "unit": "ns added",
            "ratio_to": "direct connect()",
            "ratio": (direct.median + added.median) / direct.median,
        });
        println!("{line}");
    } else {
        println!(
            "{count:>6} VIPs, to {case}: {:>5.0} ns added ({:.0} to {:.0}) to {:.0} ns",
            added.median, added.low, added.high, direct.median,
        );
    }
}

/// 11.0.0.0 and so on, port 80.
fn vip_address(number: usize) -> SocketAddrV4 {
    let bits = u32::from(Ipv4Addr::new(11, 0, 0, 0)) | u32::try_from(number).unwrap_or(0);
    SocketAddrV4::new(Ipv4Addr::from(bits), 80)
}

/// Backends are ports of this machine.
fn backend_address(number: usize) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, u16::try_from(31_000 + number).unwrap_or(0))
}

fn vip(number: usize) -> Vip {
    let address = vip_address(number);
    let backends = (0..BACKENDS).map(|backend| {
        let address = backend_address(backend);
        Backend {
            address: address.ip().to_string(),
            port: address.port().into(),
            weight: 1,
            ..Backend::default()
        }
    });
    Vip {
        key: Some(VipKey {
            address: address.ip().to_string(),
            port: address.port().into(),
            protocol: Protocol::Udp.into(),
        }),
        name: String::new(),
        backends: backends.collect(),
    }
}
