//! Health checks of running tasks.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{HealthCheck, TaskInfo, TaskState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::master::{Master, Peer};
use super::site::{Site, on_site};
use super::tasks::{command, http, sleeper, tcp};

async fn checked(master: &mut Master, site: &mut Site, check: HealthCheck) -> Peer {
    site.start();
    let (mut peer, _) = master.register().await;
    peer.run(TaskInfo { health_check: Some(check), ..sleeper("t") }).await;
    peer
}

/// The next update must say this of the task's health.
async fn told(peer: &mut Peer, healthy: bool) {
    let status = peer.expect(TaskState::TaskRunning).await;
    assert_eq!(status.healthy, Some(healthy));
    assert_eq!(status.reason(), Reason::TaskHealthCheckStatusUpdated);
}

/// The task must be killed as unhealthy, having been told to be.
async fn killed(peer: &mut Peer) {
    // Each failure is told, and the second one in a row is the end.
    told(peer, false).await;
    told(peer, false).await;
    let status = peer.expect(TaskState::TaskKilled).await;
    assert_eq!(status.healthy, Some(false));
    assert!(status.message().starts_with("Killed as unhealthy: 2 checks"), "{}", status.message());
}

#[test]
fn http_checks_follow_the_answers() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let good = Arc::new(AtomicBool::new(true));
        let answer = Arc::clone(&good);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let good = answer.load(Ordering::SeqCst);
                let status = if good { "200 OK" } else { "500 Internal Server Error" };
                let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await;
            }
        });
        let mut peer = checked(&mut master, site, http(port)).await;
        told(&mut peer, true).await;
        good.store(false, Ordering::SeqCst);
        killed(&mut peer).await;
    });
}

#[test]
fn tcp_checks_follow_the_listener() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut peer = checked(&mut master, site, tcp(port)).await;
        told(&mut peer, true).await;
        drop(listener);
        killed(&mut peer).await;
    });
}

#[test]
fn command_checks_run_in_the_container_and_go_on_after_a_crash() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        let check = HealthCheck { consecutive_failures: Some(2), ..command("test ! -e sick") };
        let mut peer = checked(&mut master, site, check).await;
        told(&mut peer, true).await;
        site.written().await;
        site.kill();
        site.start();
        let (mut peer, register) = master.register().await;
        assert_eq!(register.tasks[0].status.as_ref().unwrap().healthy, Some(true));
        fs::write(site.sandbox("t").join("sick"), "").unwrap();
        killed(&mut peer).await;
    });
}
