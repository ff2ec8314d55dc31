//! What time alone brings about.

use std::time::Duration;

use muster_api::mesos::scheduler::{Event, event};
use muster_api::muster::Ping;
use muster_api::muster::master_message::Message as ToAgent;

use super::{Liveness, Master, Output};
use crate::registry::RegistryBatch as _;

/// Time between heartbeats to a subscribed framework, Mesos' constant.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a name that nobody claims keeps its address: as long as the services' framework may be away.
const NAME_KEPT: Duration = Duration::from_hours(24 * 7);

impl Master {
    pub(super) fn tick(&mut self, now: Duration) {
        self.watch_agents(now);
        self.watch_frameworks(now);
        self.rescind_old_offers(now);
        self.view.expire(now);
        // Who is handed out such an address now finds it free in the registry, too: both are one commit.
        for (service, address) in self.pool.release(now, NAME_KEPT, |vip| self.view.has_vip_at(vip))
        {
            tracing::info!(service, %address, "nobody claims the name any more: its address is free");
            self.step.batch.delete_vip(&service, address);
        }
        if now >= self.last_allocation + self.options.allocator.allocation_interval {
            self.allocate = true;
        }
    }

    pub(super) fn pong(&mut self, link: super::LinkId) {
        let agent = self.links.get(&link).and_then(|id| self.agents.get_mut(id));
        if let Some(Liveness::Connected { unanswered, .. }) = agent.map(|agent| &mut agent.liveness)
        {
            *unanswered = 0;
        }
    }

    /// Pings the linked agents and gives up those that are away or silent too long.
    fn watch_agents(&mut self, now: Duration) {
        let mut lost = Vec::new();
        for (id, agent) in &mut self.agents {
            match &mut agent.liveness {
                Liveness::Connected { pinged, unanswered } => {
                    if now < *pinged + self.options.agent_ping_timeout {
                        continue;
                    }
                    if *unanswered >= self.options.max_agent_ping_timeouts {
                        lost.push(id.clone());
                        continue;
                    }
                    *pinged = now;
                    *unanswered += 1;
                    if let Some(link) = agent.link {
                        self.step.tell_agent(link, ToAgent::Ping(Ping {}));
                    }
                }
                Liveness::Recovered { since } | Liveness::Disconnected { since } => {
                    if now >= *since + self.options.agent_reregister_timeout {
                        lost.push(id.clone());
                    }
                }
                Liveness::Unreachable { .. } => {}
            }
        }
        for id in lost {
            self.mark_unreachable(now, &id);
        }
    }

    /// Sends heartbeats and tears down frameworks that are away too long.
    fn watch_frameworks(&mut self, now: Duration) {
        let mut expired = Vec::new();
        for (id, framework) in &mut self.frameworks {
            if let Some(connection) = framework.connection {
                if now >= framework.heartbeat + HEARTBEAT {
                    framework.heartbeat = now;
                    let mut event = Event::default();
                    event.set_type(event::Type::Heartbeat);
                    self.step.outputs.push(Output::ToScheduler(connection, Box::new(event)));
                }
            } else if let Some(since) = framework.disconnected
                && !framework.completed
            {
                let timeout = Duration::try_from_secs_f64(framework.info.failover_timeout())
                    .unwrap_or(Duration::MAX);
                if since.checked_add(timeout).is_some_and(|end| now >= end) {
                    expired.push(id.clone());
                }
            }
        }
        for id in expired {
            tracing::info!(framework = id, "framework did not come back in time: torn down");
            self.teardown(now, &id);
        }
    }
}
