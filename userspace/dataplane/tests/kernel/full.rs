//! Maps that have no room: which one is named, to whom it is told, and what is served all the same.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    ops::Range,
    sync::{Arc, Mutex},
};

use aya::maps::{HashMap, Map, MapData};
use muster_api::muster::Vip as View;
use muster_dataplane::{Changes, DataPlane, Protocol};
use muster_packet::{Backend, Counted, Endpoint, MAX_BACKENDS, MAX_COUNTERS, Pair, Slot, TCP};

use crate::{
    http::ask_for,
    machine::Machine,
    server::{Server, ask},
    view::tcp,
};

const FIRST: &str = "11.0.0.1:80";
const LAST: &str = "11.0.0.9:80";

type Shared = Arc<Mutex<DataPlane>>;

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Applies a view, and says what was logged of maps meanwhile.
fn apply(plane: &Shared, view: &[View]) -> (Changes, Vec<String>) {
    logged(|| plane.lock().unwrap().reconcile(view).unwrap())
}

fn logged(act: impl FnOnce() -> Changes) -> (Changes, Vec<String>) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let changes = tracing::subscriber::with_default(subscriber, act);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let of_maps = log.lines().filter_map(|line| Some(line[line.find("map ")?..].to_owned()));
    (changes, of_maps.collect())
}

/// For how many a map has no room, as Prometheus reads it.
async fn assert_told(plane: &Shared, map: &str, skipped: usize) {
    let router = muster_dataplane::net_router(Arc::clone(plane));
    let (_, _, body) = ask_for(&router, "/v1/metrics", &[]).await;
    let line = format!("vip_map_skipped{{map=\"{map}\"}} {skipped}");
    assert!(body.lines().any(|l| l == line), "{line}");
    let full = plane.lock().unwrap().skips().full.get(map).copied();
    assert_eq!(full, Some(skipped).filter(|skipped| *skipped > 0));
}

/// A VIP with backends of these numbers, at none of which anybody is.
fn large(last: u8, backends: Range<u32>) -> View {
    let backend = |number: u32| {
        let [_, a, b, c] = number.to_be_bytes();
        SocketAddr::from((Ipv4Addr::new(10, a, b, c), 80))
    };
    tcp(&format!("11.0.0.{last}:80"), &backends.map(backend).collect::<Vec<_>>())
}

fn asked(vip: &str) -> SocketAddr {
    ask(vip.parse::<SocketAddr>().unwrap()).unwrap()
}

/// How many connections were counted at a VIP's only backend.
fn successes(plane: &Shared, vip: &str) -> u64 {
    let plane = plane.lock().unwrap();
    plane.vip(vip.parse().unwrap(), Protocol::Tcp).unwrap().unwrap().backends[0].successes
}

#[tokio::test]
async fn backends() {
    let Some(mut machine) = Machine::new() else { return };
    let (server, last) = (Server::tcp(), Server::tcp());
    let (config, plane) = machine.plane();
    let plane = Arc::new(Mutex::new(plane));
    apply(&plane, &[tcp(FIRST, &[server.address]), large(7, 0..10)]);
    // Another's hand leaves room for thirty.
    let data = MapData::from_pin(config.directory().unwrap().join("backends")).unwrap();
    let mut map: HashMap<_, Slot, Backend> = Map::from_map_data(data).unwrap().try_into().unwrap();
    let (_, some) = map.iter().next().unwrap().unwrap();
    for number in 0..u32::try_from(MAX_BACKENDS - 11 - 30).unwrap() {
        let slot = Slot { table: 1_000_000 + number / 64, index: number % 64 };
        map.insert(slot, some, 0).unwrap();
    }
    let view =
        [tcp(FIRST, &[last.address]), large(6, 0..40), large(7, 0..40), tcp(LAST, &[last.address])];
    let (changes, log) = apply(&plane, &view);
    assert_eq!((changes.added, changes.changed), (1, 1));
    let skipped: Vec<_> = changes.skipped.iter().map(ToString::to_string).collect();
    let full = "map backends: full, all 262144 entries are taken";
    let [six, seven] = ["11.0.0.6:80/tcp", "11.0.0.7:80/tcp"];
    assert_eq!(skipped, [format!("VIP {six}: {full}"), format!("VIP {seven}: {full}")]);
    assert_eq!(log, [format!("{full}; VIPs stay as they were: {six}, {seven}")]);
    assert_told(&plane, "backends", 2).await;
    assert_eq!((asked(FIRST), asked(LAST)), (last.address, last.address));
    let shown = |vip: &str| {
        let shown = plane.lock().unwrap().vip(vip.parse().unwrap(), Protocol::Tcp).unwrap();
        shown.map(|vip| vip.backends.len())
    };
    assert_eq!((shown("11.0.0.6:80"), shown("11.0.0.7:80")), (None, Some(10)));

    // What is nobody's is found the next time, and makes room.
    let (changes, log) = apply(&plane, &view);
    assert_eq!((changes.added, changes.skipped.len()), (1, 0));
    assert_eq!(log, ["map backends: has room for all of the view again"]);
    assert_told(&plane, "backends", 0).await;
    assert_eq!((shown("11.0.0.6:80"), shown("11.0.0.7:80")), (Some(40), Some(40)));
    assert_eq!(map.keys().count(), 82);
}

#[tokio::test]
async fn counters() {
    let Some(mut machine) = Machine::new() else { return };
    let (server, last) = (Server::tcp(), Server::tcp());
    let plane = Arc::new(Mutex::new(machine.plane().1));
    let mut view = vec![
        tcp(FIRST, &[server.address]),
        large(2, 0..70_000),
        large(3, 70_000..132_000),
        tcp(LAST, &[last.address]),
    ];
    let uncounted = 132_002 - MAX_COUNTERS;
    let (changes, log) = apply(&plane, &view);
    assert_eq!((changes.added, changes.skipped.len()), (4, uncounted));
    let full = "map counters: full, all 131072 entries are taken";
    assert_eq!(log.len(), 1);
    assert!(log[0].starts_with(&format!("{full}; backends are served, but not counted: ")));
    assert!(log[0].ends_with(&format!(" and {} more", uncounted - 3)), "{log:?}");
    assert_told(&plane, "counters", uncounted).await;
    // The last of them is served, too.
    assert_eq!((asked(FIRST), asked(LAST)), (server.address, last.address));
    assert_eq!((successes(&plane, FIRST), successes(&plane, LAST)), (1, 0));

    // Places of those that have gone are given to others the next time.
    view.remove(1);
    apply(&plane, &view);
    let (_, log) = apply(&plane, &view);
    assert_eq!(log, ["map counters: has room for all of the view again"]);
    assert_told(&plane, "counters", 0).await;
    asked(LAST);
    assert_eq!((successes(&plane, FIRST), successes(&plane, LAST)), (1, 1));
}

#[tokio::test]
async fn counted() {
    let Some(mut machine) = Machine::new() else { return };
    let (server, last) = (Server::tcp(), Server::tcp());
    let (config, plane) = machine.plane();
    let plane = Arc::new(Mutex::new(plane));
    let mut view = vec![tcp(FIRST, &[server.address])];
    apply(&plane, &view);
    // It has as many entries as there are counters: full before those only by another's hand.
    let data = MapData::from_pin(config.directory().unwrap().join("counted")).unwrap();
    let mut map: HashMap<_, Pair, Counted> = Map::from_map_data(data).unwrap().try_into().unwrap();
    let vip = Endpoint::v4([11, 0, 0, 1], 80, TCP);
    for place in 1..u32::try_from(MAX_COUNTERS).unwrap() {
        let [_, a, b, c] = place.to_be_bytes();
        let pair = Pair { vip, backend: Endpoint::v4([10, a, b, c], 80, TCP) };
        map.insert(pair, Counted { counter: place, home: place }, 0).unwrap();
    }
    view.push(tcp(LAST, &[last.address]));
    let (changes, log) = apply(&plane, &view);
    assert_eq!((changes.added, changes.skipped.len()), (1, 1));
    let full = "map counted: full, all 131072 entries are taken";
    let not = "backends are served, but not counted";
    assert_eq!(log, [format!("{full}; {not}: {}/tcp", last.address)]);
    assert_told(&plane, "counted", 1).await;
    assert_eq!((asked(FIRST), asked(LAST)), (server.address, last.address));
    assert_eq!(successes(&plane, FIRST), 1);

    // What others wrote is found, and taken out, and its places are free the time after.
    apply(&plane, &view);
    assert_told(&plane, "counters", 1).await;
    asked(LAST);
    assert_eq!(successes(&plane, LAST), 0);
    apply(&plane, &view);
    assert_told(&plane, "counters", 0).await;
    assert_eq!(map.keys().count(), 2);
    asked(LAST);
    assert_eq!((successes(&plane, FIRST), successes(&plane, LAST)), (1, 1));
}
