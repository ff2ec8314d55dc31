//! dcos-net's `/v1/nodes`: the machines of the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use muster_api::muster::AgentEntry;
use muster_dataplane::tagged_json;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use super::Look;

/// RFC 3339 in UTC with three digits of a second, as dcos-net writes times.
const MOMENT: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A machine as dcos-net shows it.
#[derive(Debug, PartialEq, Serialize)]
struct Node<'a> {
    private_ip: &'a str,
    /// What a machine is called outside the cluster is not known: none, as from dcos-net without
    /// `detect_ip_public`.
    public_ips: [&'a str; 0],
    hostname: &'a str,
    updated: String,
}

/// The route, to be served beside dcos-net's others.
pub(crate) fn router(look: Look) -> Router {
    Router::new().route("/v1/nodes", get(nodes)).with_state(look)
}

/// The view is brought up to date by the master: there is nothing that `force` could hurry.
async fn nodes(State(look): State<Look>, headers: HeaderMap) -> Response {
    match look.agent(|agent| serde_json::to_vec(&shown(agent.view().agents()))) {
        Ok(body) => tagged_json(body, &headers),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// By address, as dcos-net knows machines: of several agents on one, the one that was told of last.
fn shown<'a>(agents: impl Iterator<Item = (&'a AgentEntry, Duration)>) -> Vec<Node<'a>> {
    let mut nodes = BTreeMap::<&str, (&AgentEntry, Duration)>::new();
    for (agent, told) in agents {
        let node = nodes.entry(&agent.address).or_insert((agent, told));
        if node.1 <= told {
            *node = (agent, told);
        }
    }
    let node = |(private_ip, (agent, told)): (&'a str, (&'a AgentEntry, Duration))| Node {
        private_ip,
        public_ips: [],
        hostname: &agent.hostname,
        updated: moment(told),
    };
    nodes.into_iter().map(node).collect()
}

/// Empty after the year 9999, which nobody can write.
fn moment(since_epoch: Duration) -> String {
    let moment = i64::try_from(since_epoch.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|moment| moment.replace_nanosecond(since_epoch.subsec_nanos()).ok());
    moment.and_then(|moment| moment.format(MOMENT).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nodes_are_dcos_nets_json() {
        let agent = |id: &str, hostname: &str, address: &str| AgentEntry {
            agent_id: id.into(),
            hostname: hostname.into(),
            address: address.into(),
        };
        let agents = [
            agent("S0", "a1", "10.0.0.2"),
            agent("S1", "old", "10.0.0.1"),
            agent("S2", "new", "10.0.0.1"),
        ];
        let told = [1_518_568_087_133, 1, 951_782_400_000].map(Duration::from_millis);
        assert_eq!(
            serde_json::to_value(shown(agents.iter().zip(told))).unwrap(),
            json!([
                {"private_ip": "10.0.0.1", "public_ips": [], "hostname": "new",
                 "updated": "2000-02-29T00:00:00.000Z"},
                {"private_ip": "10.0.0.2", "public_ips": [], "hostname": "a1",
                 "updated": "2018-02-14T00:28:07.133Z"},
            ])
        );
    }
}
