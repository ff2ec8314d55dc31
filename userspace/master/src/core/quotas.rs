//! What roles are promised and may have at most.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_allocator::Quota;
use muster_api::mesos::master::call;
use muster_api::mesos::quota::QuotaRequest;
use muster_resources::{Quantities, role};

use super::allocation::agree;
use super::change::Refusal;
use super::{Master, Offer};
use crate::quota;
use crate::registry::RegistryBatch as _;

impl Master {
    /// All quotas that are set, by role.
    pub fn quotas(&self) -> BTreeMap<String, Quota> {
        self.allocator.quotas()
    }

    pub(super) fn update_quota(
        &mut self,
        now: Duration,
        update: &call::UpdateQuota,
    ) -> Result<(), Refusal> {
        let mut quotas = Vec::with_capacity(update.quota_configs.len());
        for (index, config) in update.quota_configs.iter().enumerate() {
            let wrong = |problem| Refusal::Invalid(format!("quota_configs[{index}].{problem}"));
            self.check_quota_role(&config.role).map_err(wrong)?;
            quotas.push((config.role.clone(), quota::read(config).map_err(wrong)?));
        }
        if !update.force() {
            let uses = self.role_uses();
            for (index, (role, quota)) in quotas.iter().enumerate() {
                let consumed = uses.get(role).map(super::RoleUse::consumed).unwrap_or_default();
                if !quota.limits.contains(&consumed) {
                    return Err(Refusal::Invalid(format!(
                        "quota_configs[{index}].limits: {} is less than what the role {role:?} \
                         is consuming already, {consumed}; raise it, or set force",
                        quota.limits
                    )));
                }
            }
            self.check_capacity(&quotas).map_err(Refusal::Invalid)?;
        }
        for (role, quota) in quotas {
            self.apply_quota(now, &role, &quota);
        }
        Ok(())
    }

    pub(super) fn set_quota(
        &mut self,
        now: Duration,
        request: &QuotaRequest,
    ) -> Result<(), Refusal> {
        let (role, quota) = quota::read_request(request).map_err(Refusal::Invalid)?;
        self.check_quota_role(&role).map_err(Refusal::Invalid)?;
        if self.allocator.quotas().contains_key(&role) {
            return Err(Refusal::Invalid(format!(
                "role: {role:?} has quota already; remove it first, or use UPDATE_QUOTA"
            )));
        }
        let quotas = [(role, quota)];
        if !request.force() {
            self.check_capacity(&quotas).map_err(Refusal::Conflict)?;
        }
        for (role, quota) in quotas {
            self.apply_quota(now, &role, &quota);
        }
        Ok(())
    }

    pub(super) fn remove_quota(&mut self, role: &str) -> Result<(), Refusal> {
        self.check_allowed(role).map_err(Refusal::Invalid)?;
        if !self.allocator.quotas().contains_key(role) {
            return Err(Refusal::Invalid(format!("role: {role:?} has no quota")));
        }
        tracing::info!(role, "quota removed");
        self.step.batch.delete_quota(role);
        agree(self.allocator.update_quota(role, Quota::default()));
        Ok(())
    }

    fn check_quota_role(&self, role: &str) -> Result<(), String> {
        self.check_allowed(role)?;
        if role.contains('/') {
            return Err(format!(
                "role: {role:?} is nested, and quota is for roles without slashes; \
                 set it for {:?}, whose quota counts what its subroles use",
                role::top(role)
            ));
        }
        Ok(())
    }

    /// Whether all that is promised, with these quotas in place of the roles' old ones, can be
    /// kept.
    fn check_capacity(&self, quotas: &[(String, Quota)]) -> Result<(), String> {
        let mut all = self.allocator.quotas();
        all.extend(quotas.iter().cloned());
        let mut promised = Quantities::default();
        for quota in all.values() {
            promised.add_all(&quota.guarantees);
        }
        let mut capacity = Quantities::default();
        for total in self.capacities() {
            capacity.add_all(&Quantities::of_scalars(&total.non_revocable()));
        }
        if capacity.contains(&promised) {
            return Ok(());
        }
        Err(format!(
            "all guarantees together, {promised}, are more than the cluster has, {capacity}; \
             lower them, or set force"
        ))
    }

    fn apply_quota(&mut self, now: Duration, role: &str, quota: &Quota) {
        tracing::info!(role, guarantees = %quota.guarantees, limits = %quota.limits, "quota changed");
        if quota.is_default() {
            self.step.batch.delete_quota(role);
        } else {
            self.step.batch.put_quota(&quota::write(role, quota));
        }
        agree(self.allocator.update_quota(role, quota.clone()));
        self.make_room(now, role, quota);
    }

    /// Takes offers back: those of the role as long as they and what it consumes are above its
    /// limits, and those of others until what is promised to it can be offered. An offered
    /// reservation counts twice, and what is free and not offered does not count at all, so
    /// that rather too many offers are taken back.
    fn make_room(&mut self, now: Duration, role: &str, quota: &Quota) {
        let usage = self.role_uses().remove(role).unwrap_or_default();
        let mut had = usage.consumed();
        had.add_all(&usage.offered);
        let is_own =
            |offer: &Offer| offer.role == role || role::is_strict_subrole_of(&offer.role, role);
        let mut offers: Vec<(bool, String, String, Quantities)> = self
            .offers
            .iter()
            .map(|(id, offer)| {
                let amount = Quantities::of(&offer.resources);
                (is_own(offer), offer.agent.clone(), id.clone(), amount)
            })
            .collect();
        // Agent by agent, so that few agents are cut up.
        offers.sort_by(|a, b| (&a.1, &a.2).cmp(&(&b.1, &b.2)));
        let (own, others): (Vec<_>, Vec<_>) = offers.into_iter().partition(|(own, ..)| *own);
        for (_, _, id, amount) in own {
            if quota.limits.contains(&had) {
                break;
            }
            had.subtract_all(&amount);
            self.rescind_offer(now, &id);
        }
        for (_, _, id, amount) in others {
            if had.contains(&quota.guarantees) {
                break;
            }
            had.add_all(&amount);
            self.rescind_offer(now, &id);
        }
    }
}
