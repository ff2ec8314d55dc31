//! What may be offered of an agent to one framework.

use std::cell::OnceCell;

use muster_resources::{Limits, Quantities, Resources, Scalar, Value};

use crate::Draw;
use crate::amounts::Amounts;
use crate::names::Names;
use crate::refusals::Refusals;
use crate::tally::is_countable;

/// What is free of an agent for some role and framework.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) all: Resources,
    /// How much there is by name, whatever kind of value it is.
    pub(crate) quantities: Amounts,
    /// What counts against quota.
    pub(crate) countable: Amounts,
    /// Whether what counts can be cut anywhere, so that chance has no say.
    simple: bool,
    /// Whether all of it is in what was refused last of the agent, once that was asked.
    in_last: OnceCell<bool>,
}

/// What holds a cycle back from giving everything.
pub(crate) struct Bounds<'a> {
    /// In the first stage, what the role lacks.
    pub(crate) missing: Option<&'a Amounts>,
    /// What the role may still have, if it has limits.
    pub(crate) limits: Option<&'a [(usize, i64)]>,
    /// What may be given away without touching what is kept for guarantees, if anything is.
    pub(crate) surplus: Option<&'a Amounts>,
}

impl Bounds<'_> {
    /// Whether everything may be given.
    pub(crate) fn are_none(&self) -> bool {
        self.missing.is_none() && self.limits.is_none() && self.surplus.is_none()
    }
}

/// An offer.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    /// `None` is all of the parts.
    pub(crate) resources: Option<Resources>,
    /// What counts towards the guarantee.
    pub(crate) guaranteed: Amounts,
    /// What counts against quota, the guaranteed included.
    pub(crate) countable: Amounts,
    /// Whether chance had a say.
    pub(crate) by_chance: bool,
}

impl Parts {
    pub(crate) fn new(all: Resources, names: &mut Names) -> Self {
        let mut parts = Self {
            quantities: Amounts::default(),
            countable: Amounts::default(),
            simple: true,
            in_last: OnceCell::new(),
            all,
        };
        for entry in &parts.all {
            let number = names.number(entry.name());
            parts.quantities.add_one(number, entry.value().quantity().thousandths());
            if is_countable(entry) {
                parts.simple &= parts.countable.get(number) == 0 && entry.is_divisible();
                if let Value::Scalar(scalar) = entry.value() {
                    parts.countable.add_one(number, scalar.thousandths());
                }
            }
        }
        parts
    }

    /// Whether all of it is in what was refused last of the agent.
    pub(crate) fn is_in_last(&self, refusals: &Refusals) -> bool {
        *self.in_last.get_or_init(|| refusals.last_contains(&self.all))
    }

    /// What may be offered within the bounds; `None` if that is no progress in the first
    /// stage.
    pub(crate) fn offer(
        &self,
        bounds: &Bounds<'_>,
        names: &mut Names,
        draw: Draw,
    ) -> Option<Offer> {
        if bounds.are_none() {
            return Some(Offer {
                resources: None,
                guaranteed: Amounts::default(),
                countable: self.countable.clone(),
                by_chance: false,
            });
        }
        if self.simple { self.cut(bounds, names) } else { self.pick(bounds, names, draw) }
    }

    fn cut(&self, bounds: &Bounds<'_>, names: &mut Names) -> Option<Offer> {
        let mut guaranteed = Amounts::default();
        if let Some(missing) = bounds.missing {
            guaranteed = self.countable.min(missing);
            if guaranteed.is_zero() {
                return None;
            }
        }
        let mut extra = self.countable.minus_floored(&guaranteed);
        for (name, left) in bounds.limits.unwrap_or_default() {
            let left = (left - guaranteed.get(*name)).max(0);
            extra.set(*name, extra.get(*name).min(left));
        }
        if let Some(surplus) = bounds.surplus {
            extra = extra.min(surplus);
        }
        let mut countable = extra;
        countable.add(&guaranteed);
        let resources =
            (countable != self.countable).then(|| self.with_countable(&countable, names));
        Some(Offer { resources, guaranteed, countable, by_chance: false })
    }

    /// With so much of what counts.
    fn with_countable(&self, countable: &Amounts, names: &mut Names) -> Resources {
        self.all
            .iter()
            .map(|entry| {
                if !is_countable(entry) {
                    return entry.clone();
                }
                let amount = countable.get(names.number(entry.name()));
                entry.clone().with_value(Value::Scalar(Scalar::from_thousandths(amount)))
            })
            .collect()
    }

    /// The same where there are several resources of a name, or indivisible ones.
    fn pick(&self, bounds: &Bounds<'_>, names: &mut Names, draw: Draw) -> Option<Offer> {
        let order = |step: u64| move |at: usize| draw.of(step).of(at as u64).number();
        let countable = self.all.filter(|entry| is_countable(entry));
        let mut guaranteed = Resources::default();
        if let Some(missing) = bounds.missing {
            guaranteed = countable.shrunk_to(&names.named(missing), order(0));
            if guaranteed.is_empty() {
                return None;
            }
        }
        let guaranteed_amounts = names.scalars(&guaranteed);
        let mut extra = countable - &guaranteed;
        if let Some(limits) = bounds.limits {
            let mut left = Limits::default();
            for (name, amount) in limits {
                let amount = (amount - guaranteed_amounts.get(*name)).max(0);
                left.set(names.name(*name).clone(), Scalar::from_thousandths(amount));
            }
            extra = extra.shrunk_to_limits(&left, order(1));
        }
        if let Some(surplus) = bounds.surplus {
            let surplus: Quantities = names.named(surplus);
            extra = extra.shrunk_to(&surplus, order(2));
        }
        let mut countable = names.scalars(&extra);
        countable.add(&guaranteed_amounts);
        let by_chance = countable != self.countable;
        let rest = self.all.filter(|entry| !is_countable(entry));
        let resources = Some(guaranteed + rest + extra);
        Some(Offer { resources, guaranteed: guaranteed_amounts, countable, by_chance })
    }
}

/// Whether there is enough for an offer: at least one of the minima, or something if there are
/// none.
pub(crate) fn meets(quantities: &Amounts, minima: &[Amounts]) -> bool {
    minima.is_empty() || minima.iter().any(|minimum| quantities.covers(minimum))
}
