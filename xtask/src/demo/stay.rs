//! Staying up, with hints on how to look around.

use std::time::Duration;

use anyhow::Result;
use muster_harness::{Cluster, Error, bpffs, interrupt};
use serde_json::json;

use super::stage::{Shown, Stage};

/// Shows the hints and waits for a signal, which ends it with [`Error::Interrupted`].
pub(super) fn until_interrupted(stage: &mut Stage, cluster: &Cluster) -> Result<()> {
    let hints = hints(cluster);
    stage.play("up, until Ctrl-C", || {
        Ok(Shown::new(json!({ "try": hints }))
            .line("look around from another terminal:")
            .lines(hints))
    })?;
    loop {
        match interrupt::pause(Duration::from_hours(1)) {
            Ok(()) => {}
            Err(Error::Interrupted) => return Err(Error::Interrupted.into()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn hints(cluster: &Cluster) -> Vec<String> {
    let id = cluster.id();
    let master = cluster.master_address();
    let on = |machine: &str| format!("nsenter --net=/run/netns/{id}-{machine}");
    vec![
        format!("{} curl -s {master}:5050/state", on("m")),
        format!("{} curl -s {master}:8080/v2/apps", on("m")),
        format!("{} curl -s localhost:61421/vips", on("a1")),
        format!(
            "{} curl -s -X PUT {master}:8080/v2/apps/nginx -H 'content-type: application/json' \
             -d '{{\"instances\": 5}}'",
            on("m")
        ),
        format!(
            "ls {}/muster/{id}-a1; bpftool map dump pinned {0}/muster/{id}-a1/vips",
            bpffs::DIRECTORY
        ),
    ]
}
