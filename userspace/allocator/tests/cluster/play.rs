//! Carries a plan out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_allocator::{Allocator, Draw, Grant};
use muster_resources::{Operation, Reservation, Resource, Resources, Scalar, Value};

use crate::books::{Books, Place};
use crate::plan::{Framework, Plan, Step, Weather};

/// The cluster while things happen to it.
pub(crate) struct Play {
    pub(crate) allocator: Allocator,
    pub(crate) books: Books,
    pub(crate) frameworks: BTreeMap<String, Framework>,
    weather: Weather,
    now: Duration,
    tasks: Vec<(Place, Resources)>,
    offers: Vec<(Place, Resources)>,
    next: usize,
}

impl Play {
    pub(crate) fn new(plan: &Plan, weather: Weather) -> Self {
        let mut play = Self {
            allocator: Allocator::new(plan.options.clone()),
            books: Books::default(),
            frameworks: BTreeMap::new(),
            weather,
            now: Duration::ZERO,
            tasks: Vec::new(),
            offers: Vec::new(),
            next: 0,
        };
        let weights = plan.weights.iter().cloned().map(|(role, weight)| Step::Weight(role, weight));
        let quotas = plan.quotas.iter().cloned().map(|(role, quota)| Step::Quota(role, quota));
        let agents = plan.agents.iter().cloned().map(Step::AddAgent);
        let frameworks = plan.frameworks.iter().cloned().map(Step::AddFramework);
        for step in weights.chain(quotas).chain(agents).chain(frameworks) {
            play.step(&step);
        }
        play
    }

    /// What a cycle gives, if that is the step.
    pub(crate) fn step(&mut self, step: &Step) -> Vec<Grant> {
        match step {
            Step::Cycle(choice) => return self.cycle(*choice),
            Step::End(choice) => self.end(*choice),
            Step::Rescind => {
                for (place, resources) in std::mem::take(&mut self.offers) {
                    self.give_back(&place, &resources, None);
                }
            }
            Step::AddAgent(options) => {
                let id = self.id("a");
                self.books.totals.insert(id.clone(), options.total.clone());
                self.allocator.add_agent(&id, options.clone(), BTreeMap::new()).unwrap();
            }
            Step::RemoveAgent(which) => {
                let Some(id) = nth(self.books.totals.keys(), *which) else { return Vec::new() };
                self.allocator.remove_agent(&id).unwrap();
                self.books.totals.remove(&id);
                self.forget(|(_, _, agent)| *agent == id);
            }
            Step::AddFramework(framework) => {
                let id = self.id("f");
                let options = framework.options.clone();
                self.allocator.add_framework(&id, options, BTreeMap::new()).unwrap();
                self.frameworks.insert(id, framework.clone());
            }
            Step::RemoveFramework(which) => {
                let Some(id) = nth(self.frameworks.keys(), *which) else { return Vec::new() };
                self.allocator.remove_framework(&id).unwrap();
                self.frameworks.remove(&id);
                self.forget(|(framework, _, _)| *framework == id);
            }
            Step::Suppress(which) => {
                let Some(id) = nth(self.frameworks.keys(), *which) else { return Vec::new() };
                self.allocator.suppress(&id, &[]).unwrap();
                let options = &mut self.frameworks.get_mut(&id).unwrap().options;
                options.suppressed = options.roles.iter().cloned().collect();
            }
            Step::Revive(which) => {
                let Some(id) = nth(self.frameworks.keys(), *which) else { return Vec::new() };
                self.allocator.revive(&id, &[]).unwrap();
                self.frameworks.get_mut(&id).unwrap().options.suppressed = BTreeSet::new();
            }
            Step::Weight(role, weight) => self.allocator.update_weight(role, *weight).unwrap(),
            Step::Quota(role, quota) => {
                self.allocator.update_quota(role, quota.clone()).unwrap();
                self.books.quotas.insert(role.clone(), quota.clone());
            }
            Step::Wait(time) => self.now += *time,
        }
        Vec::new()
    }

    fn id(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{}", self.next)
    }

    fn forget(&mut self, is_gone: impl Fn(&Place) -> bool) {
        self.books.held.retain(|place, _| !is_gone(place));
        self.tasks.retain(|(place, _)| !is_gone(place));
        self.offers.retain(|(place, _)| !is_gone(place));
    }

    /// A cycle without answers.
    pub(crate) fn allocate(&mut self) -> Vec<Grant> {
        let grants = self.allocator.allocate(self.now);
        for grant in &grants {
            self.books.add(place(grant), &grant.resources.clone().unallocated());
        }
        grants
    }

    fn cycle(&mut self, choice: u64) -> Vec<Grant> {
        let grants = self.allocate();
        self.answer(&grants, choice);
        grants
    }

    /// Frameworks do what they like with offers.
    pub(crate) fn answer(&mut self, grants: &[Grant], choice: u64) {
        for (index, grant) in grants.iter().enumerate() {
            let draw = Draw::new(choice).of(index as u64);
            let place = place(grant);
            let mut rest = grant.resources.clone().unallocated();
            match draw.of(0).number() % 8 {
                0 => {
                    self.offers.push((place, rest));
                    continue;
                }
                1 => self.launch(&place, &mut rest, None),
                2 => self.reserve(&place, &mut rest),
                _ => {
                    let task = self.frameworks[&grant.framework].task.clone();
                    for _ in 0..draw.of(1).number() % 4 {
                        self.launch(&place, &mut rest, Some(&task));
                    }
                }
            }
            let refuse = [None, Some(Duration::from_secs(5)), Some(Duration::from_hours(1))];
            let refuse = match self.weather {
                Weather::Calm => None,
                Weather::Wild => refuse[usize::try_from(draw.of(2).number() % 3).unwrap()],
            };
            self.give_back(&place, &rest, refuse);
        }
    }

    /// Launches a task, of everything if it is not said of what.
    fn launch(&mut self, place: &Place, rest: &mut Resources, task: Option<&Resources>) {
        let uses = match task {
            None => rest.clone(),
            Some(task) => match rest.find(task) {
                Some(uses) if rest.contains(&uses) => uses,
                _ => return,
            },
        };
        let (framework, role, agent) = place;
        self.allocator.launch(framework, role, agent, &uses).unwrap();
        self.books.launch(place, &uses);
        *rest -= &uses;
        self.tasks.push((place.clone(), uses));
    }

    /// Reserves half of the unreserved processors and runs a task on them.
    fn reserve(&mut self, place: &Place, rest: &mut Resources) {
        let (framework, role, agent) = place;
        let plain = |entry: &&Resource| *entry.name() == *"cpus" && entry.is_plain();
        let Some(cpus) = rest.iter().find(plain) else { return };
        let half = Scalar::from_thousandths(rest.scalar("cpus").thousandths().min(1000) / 2 + 1);
        let taken = cpus.clone().with_value(Value::Scalar(half));
        if !rest.contains(&taken.clone().into()) {
            return;
        }
        let reserved = taken.clone().with_reservation(Reservation::dynamic(role.as_str())).unwrap();
        let (taken, reserved) = (Resources::from(taken), Resources::from(reserved));
        let operation = Operation::Reserve { resources: reserved.clone(), source: None };
        self.allocator.update_allocation(framework, role, agent, &operation).unwrap();
        *rest -= &taken;
        let held = &mut self.books.held.get_mut(place).unwrap().all;
        for all in [held, self.books.totals.get_mut(agent).unwrap()] {
            *all -= &taken;
            *all += &reserved;
        }
        self.allocator.launch(framework, role, agent, &reserved).unwrap();
        self.books.launch(place, &reserved);
        self.tasks.push((place.clone(), reserved));
    }

    fn give_back(&mut self, place: &Place, resources: &Resources, refuse: Option<Duration>) {
        let (framework, role, agent) = place;
        self.allocator.recover(self.now, framework, role, agent, resources, refuse).unwrap();
        if !resources.is_empty() {
            self.books.give_back(place, resources);
        }
    }

    fn end(&mut self, choice: u64) {
        let mut index = 0;
        let tasks = std::mem::take(&mut self.tasks);
        let (ended, left) = tasks.into_iter().partition(|_| {
            index += 1;
            Draw::new(choice).of(index).number().is_multiple_of(3)
        });
        self.tasks = left;
        let ended: Vec<(Place, Resources)> = ended;
        for (place, uses) in ended {
            // What is offered beside it would be given back first.
            let (framework, role, agent) = &place;
            self.allocator.recover(self.now, framework, role, agent, &uses, None).unwrap();
            self.books.give_back(&place, &uses);
        }
    }

    /// Whether somebody in a role itself wants offers.
    pub(crate) fn is_wanted(&self, role: &str) -> bool {
        self.frameworks.values().any(|framework| {
            let options = &framework.options;
            options.roles.iter().any(|own| own == role) && !options.suppressed.contains(role)
        })
    }
}

fn place(grant: &Grant) -> Place {
    (grant.framework.clone(), grant.role.clone(), grant.agent.clone())
}

fn nth<'a>(mut ids: impl ExactSizeIterator<Item = &'a String>, which: usize) -> Option<String> {
    let count = ids.len();
    ids.nth(which.checked_rem(count)?).cloned()
}
