//! The HTTP APIs, minuteman's, dcos-net's and our own, on a real data plane.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
};

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::BodyExt as _;
use muster_api::muster::Vip;
use muster_dataplane::{DataPlane, Report};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    machine::Machine,
    server::{Server, ask},
    view::{tcp, udp, weighted},
};

/// One request to a router.
async fn request(router: &axum::Router, method: &str, path: &str) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// One request to a router, with headers: what is answered, and its own.
pub(crate) async fn ask_for(
    router: &axum::Router,
    path: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(router: &axum::Router, path: &str) -> Value {
    let (status, body) = request(router, "GET", path).await;
    assert_eq!(status, StatusCode::OK, "{path}");
    body
}

#[tokio::test]
async fn answers_are_minutemans() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (_, mut plane) = machine.plane();
    let other = "127.0.0.1:1".parse().unwrap();
    plane
        .reconcile(&[
            weighted(tcp("11.0.0.1:80", &[server.address, other]), &[1, 0]),
            tcp("11.0.0.2:80", &[]),
            udp("11.0.0.3:53", &[other]),
            tcp("[fd01:c::1]:80", &["[fd00::1]:80".parse().unwrap()]),
        ])
        .unwrap();
    let vip: SocketAddr = "11.0.0.1:80".parse().unwrap();
    ask(vip).unwrap();
    ask(vip).unwrap();

    let router = muster_dataplane::router(Arc::new(Mutex::new(plane)));
    let backend = |successes: u64, healthy: bool| {
        json!({
            "pending_connections": 0,
            "total_failures": 0,
            "total_sucesses": successes,
            "is_healthy": healthy,
            "latency_last_60s": {},
        })
    };
    let at = server.address.to_string();
    let first = json!({ at.clone(): backend(2, true), "127.0.0.1:1": backend(0, false) });
    assert_eq!(
        get(&router, "/vips").await,
        json!({ "vips": {
            "11.0.0.1:80": first,
            "11.0.0.2:80": {},
            "11.0.0.3:53": { "127.0.0.1:1": backend(0, true) },
            "[fd01:c::1]:80": { "[fd00::1]:80": backend(0, true) },
        }})
    );
    assert_eq!(get(&router, "/vip/11.0.0.1:80").await, first);
    assert_eq!(get(&router, &format!("/backend/{at}")).await, backend(2, true));
    let sixth = json!({ "[fd00::1]:80": backend(0, true) });
    assert_eq!(get(&router, "/vip/[fd01:c::1]:80").await, sixth);
    assert_eq!(get(&router, "/vip/%5Bfd01:c:0::1%5D:80").await, sixth);
    assert_eq!(get(&router, "/backend/[fd00::1]:80").await, backend(0, true));
    // In a VIP that drains it and in one that does not.
    assert_eq!(get(&router, "/backend/127.0.0.1:1").await["is_healthy"], false);

    for (path, error) in [
        ("/vip/11.0.0.2:80", "no_backends"),
        ("/vip/11.0.0.9:80", "no_backends"),
        ("/vip/11.0.0.1", "invalid_vip"),
        ("/vip/eleven:80", "invalid_vip"),
        ("/vip/11.0.0.1:65536", "invalid_vip"),
        ("/vip/fd01:c::1:80", "invalid_vip"),
        ("/vip/[fd01:c::2]:80", "no_backends"),
        ("/backend/10.1.1.1:80", "invalid_backend"),
        ("/backend/nonsense", "invalid_backend"),
    ] {
        assert_eq!(get(&router, path).await, json!({ "error": error }), "{path}");
    }
    assert_eq!(request(&router, "POST", "/vips").await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(request(&router, "GET", "/nothing").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn backend_of_several_vips_and_both_protocols_is_added_up() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (_, mut plane) = machine.plane();
    let at = [server.address];
    plane.reconcile(&[tcp(VIP, &at), udp(VIP, &at), tcp("11.0.0.2:80", &at)]).unwrap();
    for vip in [VIP, VIP, "11.0.0.2:80"] {
        ask(vip.parse::<SocketAddr>().unwrap()).unwrap();
    }
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect(VIP.parse::<SocketAddr>().unwrap()).unwrap();

    let plane = Arc::new(Mutex::new(plane));
    let router = muster_dataplane::router(Arc::clone(&plane));
    let backend = server.address.to_string();
    let vips = get(&router, "/vips").await;
    for (vip, successes) in [(VIP, 3), ("11.0.0.2:80", 1)] {
        let one = get(&router, &format!("/vip/{vip}")).await;
        assert_eq!(one[&backend]["total_sucesses"], successes);
        assert_eq!(vips["vips"][vip], one);
    }
    let all = get(&router, &format!("/backend/{backend}")).await;
    assert_eq!((&all["total_sucesses"], &all["is_healthy"]), (&4.into(), &true.into()));
    let metrics = get(&router, "/metrics").await;
    assert_eq!(metrics["successes_counter"]["value"], 4);
    assert_eq!(metrics[format!("backend_{backend}_successes_counter")]["value"], 4);
    assert_eq!(metrics[format!("backend_{backend}_connect_latency_histogram")]["n"], 3);

    // Sums over labels are what was counted.
    let router = muster_dataplane::net_router(plane);
    let (_, _, body) = ask_for(&router, "/v1/metrics", &[]).await;
    for (metric, total) in
        [("mm_connect_successes_total{", 4), ("mm_connect_latency_seconds_count{", 3)]
    {
        let lines = body.lines().filter(|line| line.starts_with(metric));
        let values = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
        assert_eq!(values.sum::<u64>(), total, "{body}");
    }
}

/// The VIP under a name.
fn named(mut vip: Vip, name: &str) -> Vip {
    name.clone_into(&mut vip.name);
    vip
}

/// A VIP that was connected to twice and refused once, one of UDP, and one that is skipped.
fn used_plane(machine: &mut Machine, server: &Server) -> Arc<Mutex<DataPlane>> {
    let (_, mut plane) = machine.plane();
    let nobody = "127.0.0.1:1".parse().unwrap();
    let view = [
        named(tcp(VIP, &[server.address]), NAME),
        tcp("11.0.0.2:80", &[nobody]),
        udp("11.0.0.3:53", &[nobody]),
        tcp("11.0.0.2:80", &[]),
    ];
    assert_eq!(plane.reconcile(&view).unwrap().skipped.len(), 1);
    for _ in 0..2 {
        ask(VIP.parse::<SocketAddr>().unwrap()).unwrap();
    }
    ask("11.0.0.2:80".parse::<SocketAddr>().unwrap()).unwrap_err();
    Arc::new(Mutex::new(plane))
}

const VIP: &str = "11.0.0.1:80";
const NAME: &str = "web.marathon.l4lb.thisdcos.directory";

#[tokio::test]
async fn metrics_are_minutemans() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let router = muster_dataplane::router(used_plane(&mut machine, &server));
    let metrics = get(&router, "/metrics").await;
    assert_eq!(metrics["successes_counter"], json!({"value": 2, "type": "counter"}));
    assert_eq!(metrics["failures_counter"]["value"], 1);
    assert_eq!(metrics["refused_counter"]["value"], 1);
    assert_eq!(metrics["timeouts_counter"]["value"], 0);
    assert_eq!(metrics["observed_conns_counter"]["value"], 3);
    assert_eq!(metrics["skipped_gauge"]["value"], 1);
    let of_server = &metrics[format!("backend_{}_connect_latency_histogram", server.address)];
    assert_eq!(of_server["n"], 2);
    let point = |name: &str| of_server[name].as_u64().unwrap();
    assert!(point("max") > 0 && point("mean") >= point("min") && point("99") <= point("max"));
    assert_eq!(metrics["backend_127.0.0.1:1_failures_counter"]["value"], 1);
}

#[tokio::test]
async fn vips_are_dcos_nets_and_have_a_tag() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let plane = used_plane(&mut machine, &server);
    let router = muster_dataplane::net_router(Arc::clone(&plane));
    let (status, headers, body) = ask_for(&router, "/v1/vips", &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["content-type"], "application/json");
    let place = |address: SocketAddr| json!({"ip": address.ip(), "port": address.port()});
    let nobody = place("127.0.0.1:1".parse().unwrap());
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!([
            {"vip": format!("{NAME}:80"), "protocol": "tcp", "backend": [place(server.address)]},
            {"vip": "11.0.0.2:80", "protocol": "tcp", "backend": [nobody]},
            {"vip": "11.0.0.3:53", "protocol": "udp", "backend": [nobody]},
        ])
    );

    let tag = headers["etag"].to_str().unwrap().to_owned();
    let again = ask_for(&router, "/v1/vips", &[("if-none-match", &tag)]).await;
    assert_eq!((again.0, again.2.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(again.1["etag"], tag);
    let other = ask_for(&router, "/v1/vips", &[("if-none-match", "\"other\"")]).await;
    assert_eq!(other.0, StatusCode::OK);
    // Connections change nothing of it; another backend does.
    ask(VIP.parse::<SocketAddr>().unwrap()).unwrap();
    let counted = ask_for(&router, "/v1/vips", &[("if-none-match", &tag)]).await;
    assert_eq!(counted.0, StatusCode::NOT_MODIFIED);
    plane.lock().unwrap().reconcile(&[named(tcp(VIP, &[]), NAME)]).unwrap();
    let changed = ask_for(&router, "/v1/vips", &[("if-none-match", &tag)]).await;
    assert_eq!(changed.0, StatusCode::OK);
    assert_ne!(changed.1["etag"], tag);
    assert_eq!(request(&router, "POST", "/v1/vips").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn prometheus_reads_what_was_counted() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let router = muster_dataplane::net_router(used_plane(&mut machine, &server));
    let (status, headers, body) = ask_for(&router, "/v1/metrics", &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let labels =
        format!("vip=\"{VIP}\",protocol=\"tcp\",name=\"{NAME}\",backend=\"{}\"", server.address);
    let refused = "vip=\"11.0.0.2:80\",protocol=\"tcp\",name=\"\",backend=\"127.0.0.1:1\"";
    for line in [
        "vips 3".to_owned(),
        "vips_skipped{reason=\"invalid\"} 1".to_owned(),
        format!("mm_connect_successes_total{{{labels}}} 2"),
        format!("mm_connect_latency_seconds_count{{{labels}}} 2"),
        format!("mm_connect_latency_seconds_bucket{{{labels},le=\"+Inf\"}} 2"),
        format!("mm_connect_failures_total{{{refused},reason=\"refused\"}} 1"),
    ] {
        assert!(body.lines().any(|l| l == line), "{line}: {body}");
    }
    for registry in ["default", "l4lb"] {
        let (status, _, same) = ask_for(&router, &format!("/v1/metrics/{registry}"), &[]).await;
        assert_eq!((status, same.lines().count()), (StatusCode::OK, body.lines().count()));
    }
    let (status, _, body) = ask_for(&router, "/v1/metrics/dns", &[]).await;
    assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, "Unknown Registry"));
    assert_eq!(ask_for(&router, "/v1/nothing", &[]).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn report_tells_all() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let router = muster_dataplane::monitor_router(used_plane(&mut machine, &server));
    let (status, _, body) = ask_for(&router, "/monitor/vips", &[]).await;
    assert_eq!(status, StatusCode::OK);
    let report: Report = serde_json::from_str(&body).unwrap();
    assert_eq!(report.skipped.invalid, 1);
    let web = &report.vips[0];
    assert_eq!((web.vip.as_str(), web.name.as_deref()), (VIP, Some(NAME)));
    assert_eq!((web.protocol.as_str(), web.policy.as_deref()), ("tcp", Some("p2c-ewma")));
    let backend = &web.backends[0];
    assert_eq!(backend.backend, server.address.to_string());
    assert_eq!((backend.weight, backend.tier.as_str()), (1, "up"));
    assert_eq!((backend.started, backend.successes, backend.failures), (2, 2, 0));
    assert_eq!(backend.latency.count(), 2);
    let refused = &report.vips[1].backends[0];
    assert_eq!((refused.failures, refused.refused, refused.timeouts), (1, 1, 0));
}
