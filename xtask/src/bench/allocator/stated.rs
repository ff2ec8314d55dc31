//! What Mesos needs, as stated: built with gcc -O2 and run on a machine of this kind, with its
//! DRF sorter, by wall clock. And what is to be reached.

/// Mesos' figure of a phase, and ours to reach, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stated {
    /// As the measuring program calls it.
    pub(super) case: &'static str,
    /// The lowest of what is stated.
    pub(super) mesos: f64,
    pub(super) target: f64,
}

const fn stated(case: &'static str, mesos: f64, target: f64) -> Stated {
    Stated { case, mesos, target }
}

const MS: f64 = 1e3;
const S: f64 = 1e6;

pub(super) const STATED: &[Stated] = &[
    stated("LargeAndSmallQuota/3000 drf/making cycle", 21.0 * S, 250.0 * MS),
    stated("LargeAndSmallQuota/3000 drf/empty cycle", 21.0 * S, 10.0 * MS),
    stated("LargeAndSmallQuota/300 drf/making cycle", 164.0 * MS, 5.0 * MS),
    stated("LargeAndSmallQuota/300 drf/empty cycle", 68.0 * MS, 0.5 * MS),
    stated("LargeAndSmallQuota/3000 drf/add the frameworks", 26.0 * S, 50.0 * MS),
    stated("NonQuotaVsQuota/1000 roles no quota drf/making cycle", 183.0 * MS, 10.0 * MS),
    stated("NonQuotaVsQuota/1000 roles quota drf/making cycle", 144.0 * MS, 10.0 * MS),
    stated("DeclineOffers/1000x1000/first cycle", 50.0 * MS, 5.0 * MS),
    stated("DeclineOffers/1000x1000/cycle after 150 rounds of refusals", 160.0 * MS, 8.0 * MS),
    stated("DeclineOffers/1000x1000/add the agents, and the first cycle", 90.0 * MS, 10.0 * MS),
    stated("ExtremeSuppressOffers/1000x1000/cycle with 990 suppressed", 45.0 * MS, 2.0 * MS),
    stated("Metrics/1000x1000/add the agents, and the first cycle", 3.2 * S, 50.0 * MS),
    stated("UpdateAllocation/50 roles/RESERVE", 3.0 * MS, 30.0),
    stated("UpdateAllocation/100 roles/RESERVE", 7.0 * MS, 30.0),
    stated("UpdateAllocation/200 roles/RESERVE", 23.0 * MS, 30.0),
    stated("FullSort/1000 agents, 1000 clients/full sort", 320.0, 60.0),
    stated("FullSort/1000 agents, 1000 clients/no-op sort, asking for the first", 20.0, 0.2),
];

/// What no figure of Mesos is stated for.
pub(super) const BEYOND: &[(&str, f64)] = &[
    ("FullCycle/50000x1000 one role/all free, all offered", S),
    ("FullCycle/50000x1000 a role each/all free, all offered", S),
    ("FullCycle/50000x1000 a role with quota each/all free, all offered", S),
    ("FullCycle/50000x1000 nested roles/all free, all offered", S),
    ("OneAgent/50000x1000 one role/given back and offered again", 50.0),
    ("OneAgent/50000x1000 a role each/given back and offered again", 50.0),
    ("Memory/50000x1000/and the rest offered", 4096.0),
];
