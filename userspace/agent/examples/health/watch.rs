//! Looking at the agents' pinned maps.

use std::time::{Duration, Instant};

use aya::maps::{HashMap, Map, MapData};
use muster_packet::{Endpoint, TCP, Vip};

use crate::agents::Agents;
use crate::{Failure, tasks};

/// How long a change may take before the bench gives up.
const PATIENCE: Duration = Duration::from_mins(1);

/// Pause between two looks at all maps: finer ones would be work that the agents wait for.
const PAUSE: Duration = Duration::from_millis(1);

/// The agents' maps of VIPs.
pub(crate) struct Watch {
    maps: Vec<HashMap<MapData, Endpoint, Vip>>,
}

impl Watch {
    /// Opens them, and waits until all have all of the VIPs.
    pub(crate) async fn open(agents: &Agents, vips: usize) -> Result<Self, Failure> {
        let open = |path| -> Result<_, Failure> {
            Ok(Map::from_map_data(MapData::from_pin(path)?)?.try_into()?)
        };
        let watch = Self { maps: agents.maps().map(open).collect::<Result<_, _>>()? };
        for vip in 0..vips {
            let deadline = Instant::now() + PATIENCE;
            while watch.maps.iter().any(|map| map.get(&key(vip), 0).is_err()) {
                agents.check()?;
                if Instant::now() > deadline {
                    return Err(format!("not all agents have {}", tasks::address(vip)).into());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(watch)
    }

    /// What all agents have of a VIP.
    pub(crate) fn look(&self, vip: usize) -> Result<Vec<Vip>, Failure> {
        self.maps.iter().map(|map| Ok(map.get(&key(vip), 0)?)).collect()
    }

    /// Waits until every agent has another entry than `before`; how long each took from `start`,
    /// in no order.
    pub(crate) fn changes(
        &self,
        vip: usize,
        before: &[Vip],
        start: Instant,
    ) -> Result<Vec<Duration>, Failure> {
        let mut missing: Vec<_> = self.maps.iter().zip(before).collect();
        let mut took = Vec::with_capacity(missing.len());
        while !missing.is_empty() {
            let mut still = Vec::with_capacity(missing.len());
            for (map, before) in missing {
                if map.get(&key(vip), 0)? == *before {
                    still.push((map, before));
                } else {
                    took.push(start.elapsed());
                }
            }
            missing = still;
            if start.elapsed() > PATIENCE {
                return Err(format!("{} agents have not changed", missing.len()).into());
            }
            std::thread::park_timeout(PAUSE);
        }
        Ok(took)
    }
}

fn key(vip: usize) -> Endpoint {
    Endpoint::v4(tasks::address(vip).octets(), 80, TCP)
}
