//! Answering offers: each is accepted or declined at once.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_api::mesos::scheduler::{Call, call};
use muster_api::mesos::{Filters, Offer, OfferId, TaskInfo, offer};

use super::Scheduler;
use crate::app::AppId;
use crate::instance::{Agent, Instance, InstanceId};
use crate::matching::{Candidate, place};
use crate::records::Changes as _;
use crate::task;

impl Scheduler {
    /// Launches what it can on `offers` and declines the rest.
    pub(super) fn offered(&mut self, offers: &[Offer]) {
        let mut candidates: Vec<Candidate<'_>> = offers.iter().map(Candidate::new).collect();
        let mut waiting: Vec<_> =
            self.queue.iter().map(|(id, launch)| (launch.since, id.clone())).collect();
        waiting.sort();
        let mut launches: BTreeMap<usize, Vec<TaskInfo>> = BTreeMap::new();
        for (_, id) in waiting {
            if self.is_launchable(&id) {
                self.launch(&id, &mut candidates, &mut launches);
            }
        }
        // What is still missing after this decides for how long offers are refused.
        self.settle();
        let still_wanted = self.queue.keys().any(|id| self.is_launchable(id));
        let mut declined = Vec::new();
        for (index, offer) in offers.iter().enumerate() {
            match launches.remove(&index) {
                Some(tasks) => self.accept(offer, tasks, still_wanted),
                None => declined.push(offer.id.clone()),
            }
        }
        if !declined.is_empty() {
            self.decline(declined, still_wanted);
        }
    }

    /// Places the missing instances of one application.
    fn launch(
        &mut self,
        id: &AppId,
        candidates: &mut [Candidate<'_>],
        launches: &mut BTreeMap<usize, Vec<TaskInfo>>,
    ) {
        let Some(launch) = self.queue.get(id) else { return };
        let (app, count) = (std::sync::Arc::clone(&launch.app), launch.count);
        // Instances of an older epoch do not stand in the way of those that replace them.
        let beside: Vec<Agent> = self
            .fleet
            .of(id)
            .filter(|instance| instance.epoch == app.epoch)
            .map(|instance| instance.agent.clone())
            .collect();
        let limit = self.config.max_instances_per_offer;
        let (placed, unused) = place(&app, count, limit, candidates, &beside, &mut self.ids);
        let now = self.now;
        let mut used: Vec<usize> = Vec::new();
        for one in placed {
            let offer = candidates[one.offer].offer;
            let name = InstanceId::new(id.clone(), self.ids.uuid());
            let instance = Instance::launched(name, &app, offer, one.ports, now);
            let task = task::info(&app, &instance, one.resources.to_proto());
            launches.entry(one.offer).or_default().push(task);
            tracing::info!(instance = %instance.id, host = instance.agent.host, "launching");
            self.changes().put_instance(&instance);
            self.fleet.insert(instance);
            used.push(one.offer);
        }
        used.sort_unstable();
        used.dedup();
        if let Some(launch) = self.queue.get_mut(id) {
            for index in used {
                launch.offers.used(&candidates[index].agent.id, now);
            }
            for (index, reasons) in unused {
                launch.offers.unused(candidates[index].offer, reasons, now);
            }
        }
        self.dirty.insert(id.clone());
    }

    fn accept(&mut self, offer: &Offer, task_infos: Vec<TaskInfo>, still_wanted: bool) {
        // An offer that was used to the limit may have room for more.
        let full = task_infos.len() >= self.config.max_instances_per_offer;
        let filters =
            if full && still_wanted { refuse(Duration::ZERO) } else { self.filters(still_wanted) };
        let operation = offer::Operation {
            r#type: Some(offer::operation::Type::Launch.into()),
            launch: Some(offer::operation::Launch { task_infos }),
            ..Default::default()
        };
        let accept = Some(call::Accept {
            offer_ids: vec![offer.id.clone()],
            operations: vec![operation],
            filters: Some(filters),
        });
        self.say(Call { accept, ..self.new_call(call::Type::Accept) });
    }

    fn decline(&mut self, offer_ids: Vec<OfferId>, still_wanted: bool) {
        let filters = Some(self.filters(still_wanted));
        let decline = Some(call::Decline { offer_ids, filters });
        self.say(Call { decline, ..self.new_call(call::Type::Decline) });
    }

    fn filters(&self, still_wanted: bool) -> Filters {
        refuse(if still_wanted {
            self.config.decline_unsuitable_duration
        } else {
            self.config.decline_offer_duration
        })
    }
}

fn refuse(duration: Duration) -> Filters {
    Filters { refuse_seconds: Some(duration.as_secs_f64()) }
}
