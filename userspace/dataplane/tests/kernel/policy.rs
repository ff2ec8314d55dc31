//! Policies, and their change on a running agent.

use std::net::SocketAddr;

use aya::maps::{Array, Map, MapData};
use muster_dataplane::{Config, DataPlane, Policy};
use muster_packet::{Counters, LATENCY_FLOOR, Latency};

use crate::{
    machine::{Machine, enter},
    server::{Server, ask, servers},
    view::{tcp, weighted},
};

const VIP: &str = "11.0.0.1:80";

/// How many of 60 connections the first of two backends gets, of which the first is known to be
/// slow and the second to be busy.
fn share_of_the_slow(config: &Config, plane: &mut DataPlane, backends: &[SocketAddr]) -> usize {
    plane.reconcile(&[tcp(VIP, backends)]).unwrap();
    let data = MapData::from_pin(config.directory().unwrap().join("counters")).unwrap();
    let mut map: Array<_, Counters> = Map::from_map_data(data).unwrap().try_into().unwrap();
    let mut share = 0;
    for _ in 0..60 {
        for place in 0..2 {
            let mut counters = map.get(&place, 0).unwrap();
            let is_slow = counters.backend.port == backends[0].port();
            // Measured just now, whenever that is: it fades from here on.
            let measured = counters.latency.measured;
            let average = if is_slow { 1_000 * LATENCY_FLOOR } else { LATENCY_FLOOR };
            counters.latency = Latency { average, measured };
            counters.pending = if is_slow { 0 } else { 2 };
            map.set(place, counters, 0).unwrap();
        }
        share += usize::from(ask(VIP.parse::<SocketAddr>().unwrap()).unwrap() == backends[0]);
    }
    share
}

#[test]
fn policy_decides_and_may_change_when_the_agent_is_started_again() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, backends) = servers(2, Server::tcp);
    let config = machine.agent();
    for (policy, wanted) in
        [(Policy::P2cEwma, 0..=6), (Policy::LeastPending, 54..=60), (Policy::Random, 10..=50)]
    {
        let config = Config { policy, ..config.clone() };
        let mut plane = DataPlane::open(&config).unwrap();
        enter(&config.cgroup);
        // Both have been measured.
        for backend in &backends {
            plane
                .reconcile(&[weighted(
                    tcp(VIP, &backends),
                    &[u32::from(*backend == backends[0]), u32::from(*backend == backends[1])],
                )])
                .unwrap();
            assert_eq!(ask(VIP.parse::<SocketAddr>().unwrap()).unwrap(), *backend);
        }
        let share = share_of_the_slow(&config, &mut plane, &backends);
        assert!(wanted.contains(&share), "{policy:?}: {share}");
    }
}
