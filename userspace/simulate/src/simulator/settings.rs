//! Roles, time and the allocator's settings.

use muster_allocator::{Allocator, Quota, SorterKind};
use muster_resources::Name;

use super::Simulator;
use crate::command::{Advance, Config, SetQuota, SetWeight, Sorter};
use crate::error::{Problem, Refusal, at, refused};

impl Simulator {
    pub(super) fn configure(&mut self, config: Config) -> Result<(), Refusal> {
        if self.started {
            return Err(at("config")(Problem::Late));
        }
        let options = &mut self.options;
        if let Some(seed) = config.seed {
            options.seed = seed;
        }
        if let Some(sorter) = config.role_sorter {
            options.role_sorter = sorter.into();
        }
        if let Some(sorter) = config.framework_sorter {
            options.framework_sorter = sorter.into();
        }
        if let Some(names) = config.exclude {
            options.excluded = names.iter().map(|name| Name::from(name.as_str())).collect();
        }
        if let Some(minima) = config.min_allocatable {
            options.min_allocatable = minima.0;
        }
        if let Some(interval) = config.allocation_interval {
            options.allocation_interval = interval.0;
        }
        if let Some(filter) = config.filter_gpu_resources {
            options.filter_gpu_resources = filter;
        }
        if let Some(region) = config.region {
            options.region = Some(region);
        }
        self.allocator = Allocator::new(options.clone());
        Ok(())
    }

    pub(super) fn set_weight(&mut self, set: &SetWeight) -> Result<(), Refusal> {
        self.allocator.update_weight(&set.role.0, set.weight).map_err(refused("set_weight", "role"))
    }

    pub(super) fn set_quota(&mut self, set: SetQuota) -> Result<(), Refusal> {
        let quota = Quota { guarantees: set.guarantees.0, limits: set.limits.0 };
        for (name, guarantee) in quota.guarantees.iter() {
            if let Some(limit) = quota.limits.get(name).filter(|limit| guarantee > *limit) {
                return Err(at("set_quota.guarantees")(Problem::AboveLimit {
                    name: name.to_string(),
                    guarantee: guarantee.to_string(),
                    limit: limit.to_string(),
                }));
            }
        }
        self.allocator.update_quota(&set.role.0, quota).map_err(refused("set_quota", "role"))
    }

    pub(super) fn advance(&mut self, advance: &Advance) -> Result<(), Refusal> {
        let now = self.now.checked_add(advance.seconds.0);
        self.now = now.ok_or_else(|| at("advance.seconds")(Problem::Time))?;
        Ok(())
    }
}

impl From<Sorter> for SorterKind {
    fn from(sorter: Sorter) -> Self {
        match sorter {
            Sorter::Drf => Self::Drf,
            Sorter::Random => Self::Random,
        }
    }
}
