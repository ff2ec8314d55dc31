//! The cases, under Mesos' names.

mod backlog;
mod beyond;
pub(crate) mod count;
mod decline;
mod memory;
mod metrics;
mod multi;
mod quota;
mod sorter;
mod suppress;
mod update;
mod update_allocation;
mod volumes;
mod worst;

use crate::Failure;
use crate::settings::{Settings, Size};
use crate::watch::Watch;

/// A case in all its variants.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) variants: fn(&Settings) -> Vec<Variant>,
}

/// Does it all once.
type Work = dyn Fn(&mut Watch) -> Result<(), Failure>;

/// What is timed by phase.
pub(crate) struct Variant {
    pub(crate) name: String,
    /// Whether it is not repeated.
    pub(crate) once: bool,
    pub(crate) run: Box<Work>,
}

pub(crate) const ALL: &[Case] = &[
    // First, while nothing has been freed that could be used again.
    Case { name: "Memory", variants: memory::variants },
    Case { name: "AddAndUpdateSlave", variants: |settings| grid(settings, update::run) },
    Case { name: "DeclineOffers", variants: |settings| grid(settings, decline::plain) },
    Case { name: "ResourceLabels", variants: |settings| grid(settings, decline::labelled) },
    Case { name: "SuppressOffers", variants: |settings| grid(settings, suppress::by_fifths) },
    Case { name: "ExtremeSuppressOffers", variants: |settings| grid(settings, suppress::extreme) },
    Case { name: "PersistentVolumes", variants: volumes::variants },
    Case { name: "AllocatorBacklog", variants: |settings| grid(settings, backlog::run) },
    Case { name: "Metrics", variants: |settings| grid(settings, metrics::run) },
    Case { name: "UpdateAllocation", variants: update_allocation::variants },
    Case { name: "LargeAndSmallQuota", variants: quota::large_and_small },
    Case { name: "NonQuotaVsQuota", variants: quota::with_and_without },
    Case { name: "MultiFrameworkAllocations", variants: multi::variants },
    Case { name: "FullSort", variants: sorter::flat },
    Case { name: "HierarchyFullSort", variants: sorter::hierarchy },
    Case { name: "FullCycle", variants: beyond::full_cycle },
    Case { name: "OneAgent", variants: beyond::one_agent },
    Case { name: "NothingFits", variants: worst::variants },
];

impl Variant {
    pub(crate) fn new(
        name: impl Into<String>,
        run: impl Fn(&mut Watch) -> Result<(), Failure> + 'static,
    ) -> Self {
        Self { name: name.into(), once: false, run: Box::new(run) }
    }
}

/// One variant for each size of Mesos' grid.
fn grid(settings: &Settings, run: fn(Size, &mut Watch) -> Result<(), Failure>) -> Vec<Variant> {
    let variant = |size: Size| Variant::new(size.to_string(), move |watch| run(size, watch));
    settings.grid().into_iter().map(variant).collect()
}
