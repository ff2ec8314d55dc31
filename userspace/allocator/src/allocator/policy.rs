//! Weights and quota.

use muster_resources::{Problem, role};

use super::Allocator;
use crate::ids::RoleId;
use crate::role::NumberedQuota;
use crate::wake::Looser;
use crate::{Error, Quota};

impl Allocator {
    /// Sets how much a role counts against its siblings; 1 unless set.
    ///
    /// # Errors
    /// [`Error::Role`]; [`Error::Weight`].
    pub fn update_weight(&mut self, role: &str, weight: f64) -> Result<(), Error> {
        role::validate(role)?;
        if !(weight.is_finite() && weight > 0.0) {
            return Err(Error::Weight(weight.to_string()));
        }
        self.roles.tree.set_weight(role, weight);
        let id = self.roles.make(role);
        self.roles.get_mut(id).weight = weight;
        self.forget_role(id);
        Ok(())
    }

    /// Sets what a role without slashes is promised and may have at most; the default is
    /// nothing of both.
    ///
    /// # Errors
    /// [`Error::Role`].
    pub fn update_quota(&mut self, role: &str, quota: Quota) -> Result<(), Error> {
        role::validate(role)?;
        if role.contains('/') {
            let reason = "only roles without slashes can have quota";
            return Err(Problem::Role { role: role.to_owned(), reason }.into());
        }
        let id: RoleId = self.roles.make(role);
        let quota = (!quota.is_default()).then(|| NumberedQuota::new(quota, &mut self.names));
        self.roles.set_quota(id, quota);
        self.roles.refresh_quota(id, &self.minima);
        self.wake.loosen(Looser::Role(id));
        self.forget_role(id);
        Ok(())
    }
}
