//! VIPs follow the view, and outlive the agent.

use std::net::SocketAddr;
use std::time::Duration;

use muster_api::muster::{
    Backend, Protocol, ViewDelta, ViewSnapshot, Vip, VipKey, master_message::Message,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::http::get;
use super::master::Master;
use super::site::{eventually, in_time, on_site};
use super::tasks::shell;

const NAME: &str = "web.marathon.l4lb.thisdcos.directory";

fn vip(address: &str, backend: SocketAddr) -> Vip {
    let protocol = Protocol::Tcp.into();
    Vip {
        key: Some(VipKey { address: address.into(), port: 80, protocol }),
        name: NAME.into(),
        backends: vec![Backend {
            address: backend.ip().to_string(),
            port: backend.port().into(),
            weight: 1,
            ..Default::default()
        }],
        ..Vip::default()
    }
}

/// A server that says `hello` to everyone.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"hello\n").await;
        }
    });
    address
}

#[test]
fn tasks_reach_vips_also_while_the_agent_is_away() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let backend = server().await;
        peer.say(Message::Snapshot(ViewSnapshot {
            epoch: "e".into(),
            version: 1,
            agents: Vec::new(),
            vips: vec![vip("11.0.0.1", backend)],
        }));
        // Asks again and again, and keeps the last answer.
        let line = "while :; do for ip in 1 2; do \
                      bash -c \"read answer < /dev/tcp/11.0.0.$ip/80 && echo \\$answer\" > new 2>/dev/null \
                        && mv new answer$ip || rm -f answer$ip; done; sleep 0.1; done";
        peer.run(shell("client", line)).await;
        let sandbox = site.sandbox("client");
        let path = |n: u8| sandbox.join(format!("answer{n}"));
        let answer = |n: u8| std::fs::read_to_string(path(n)).unwrap_or_default();
        eventually("the VIP answers", || answer(1) == "hello\n").await;
        peer.say(Message::Delta(ViewDelta {
            epoch: "e".into(),
            from: 1,
            to: 2,
            vips_changed: vec![vip("11.0.0.2", backend)],
            ..Default::default()
        }));
        eventually("the new VIP answers", || answer(2) == "hello\n").await;
        let shown: serde_json::Value = get(&site.vip_url("/vips")).await.json();
        assert_eq!(shown["vips"].as_object().unwrap().len(), 2, "{shown}");
        let listed = get(&site.net_url("/v1/vips")).await.json();
        assert_eq!(listed[0]["vip"], format!("{NAME}:80"), "{listed}");
        let counted = async |url: String| get(&url).await.json()["vips"][0]["backends"][0].clone();
        let shown = counted(site.url("/monitor/vips")).await;
        assert_eq!(shown["backend"], backend.to_string(), "{shown}");
        assert!(shown["latency"]["count"].as_u64().unwrap() >= 1, "{shown}");
        let metrics = get(&site.net_url("/v1/metrics")).await.body;
        assert!(metrics.contains("mm_connect_latency_seconds_bucket{"), "{metrics}");
        let metrics = get(&site.vip_url("/metrics")).await.json();
        assert!(metrics["successes_counter"]["value"].as_u64().unwrap() >= 1, "{metrics}");

        site.kill();
        std::fs::remove_file(path(1)).unwrap();
        eventually("the VIP still answers", || answer(1) == "hello\n").await;

        // The next agent leaves it so until the master says otherwise.
        site.start();
        let (peer, register) = master.register().await;
        assert_eq!((register.view_epoch.as_str(), register.view_version), ("", 0));
        std::fs::remove_file(path(1)).unwrap();
        eventually("the VIP answers again", || answer(1) == "hello\n").await;
        peer.say(Message::Snapshot(ViewSnapshot {
            epoch: "e".into(),
            version: 3,
            agents: Vec::new(),
            vips: vec![vip("11.0.0.2", backend)],
        }));
        eventually("the VIP is gone", || answer(1).is_empty()).await;
        assert_eq!(answer(2), "hello\n");
    });
}

#[test]
fn a_gap_in_the_view_is_closed_by_registering_again() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (peer, _) = master.register().await;
        peer.say(Message::Snapshot(ViewSnapshot {
            epoch: "e".into(),
            version: 4,
            ..Default::default()
        }));
        peer.say(Message::Delta(ViewDelta {
            epoch: "e".into(),
            from: 7,
            to: 8,
            ..Default::default()
        }));
        let (_peer, register) = master.register().await;
        assert_eq!((register.view_epoch.as_str(), register.view_version), ("e", 4));
    });
}

#[test]
fn what_is_skipped_of_the_view_is_counted_and_said_once() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (peer, _) = master.register().await;
        let backend = server().await;
        let mut bad = vip("11.0.0.2", backend);
        bad.key.as_mut().unwrap().port = 0;
        peer.say(Message::Snapshot(ViewSnapshot {
            epoch: "e".into(),
            version: 1,
            agents: Vec::new(),
            vips: vec![vip("11.0.0.1", backend), bad],
        }));
        let skipped = async |expected: u64| {
            in_time("the agent counts what is skipped", async {
                loop {
                    let metrics = get(&site.url("/metrics/snapshot")).await.json();
                    let is_it = metrics["slave/vips_skipped"] == expected
                        && metrics["slave/vips_skipped/invalid"] == expected;
                    if is_it {
                        break assert_eq!(metrics["slave/vips_skipped/map_full/vips"], 0);
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
            .await;
        };
        skipped(1).await;
        // Another change, of which there is nothing new to say.
        let change = |from, vips_changed, removed: &[u32]| {
            let protocol = Protocol::Tcp.into();
            let key = |port: &u32| VipKey { address: "11.0.0.2".into(), port: *port, protocol };
            Message::Delta(ViewDelta {
                epoch: "e".into(),
                from,
                to: from + 1,
                vips_changed,
                vips_removed: removed.iter().map(key).collect(),
                ..Default::default()
            })
        };
        peer.say(change(1, vec![vip("11.0.0.3", backend)], &[]));
        eventually("the VIP is served", || site.log().matches("added=1").count() == 2).await;
        peer.say(change(2, Vec::new(), &[0]));
        skipped(0).await;
        assert_eq!(site.log().matches("key.port 0").count(), 1, "{}", site.log());
    });
}
