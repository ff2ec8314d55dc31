//! All isolators, one after the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::table::{self, TABLE};
use super::{Draft, Isolation, Isolator, Request, Subject, Watch, external};
use crate::cgroup::{Controller, Hierarchies};
use crate::{Error, Resources, Status, Usage};

/// Every isolator that there is, in the order of the table.
pub(crate) struct Isolators {
    all: Vec<Link>,
}

struct Link {
    name: &'static str,
    isolator: Box<dyn Isolator>,
    /// Whether new containers get it. Others may have it from an earlier run.
    chosen: bool,
}

impl Isolators {
    /// The isolators with the flags `isolation`, for this machine.
    ///
    /// # Errors
    /// [`Error::Config`] for a flag that makes no sense, [`Error::Unsupported`] for a chosen
    /// isolator that this machine cannot do.
    pub(crate) fn new(isolation: &Isolation, hierarchies: &Hierarchies) -> Result<Self, Error> {
        let externals = external::all(isolation)?;
        let names: Vec<&'static str> = externals.iter().map(|(name, _)| *name).collect();
        let chosen = table::choose(&isolation.names, &names, hierarchies)?;
        if isolation.user_namespaces && !chosen.contains("filesystem/linux") {
            let reason = "need the isolator filesystem/linux".into();
            return Err(Error::Config { field: "user_namespaces", reason });
        }
        let mut all = Vec::new();
        for row in TABLE {
            all.push((row.name, (row.make)(isolation)?));
        }
        // After all others, as Mesos has its modules.
        for (name, isolator) in externals {
            all.push((name, Box::new(isolator) as Box<dyn Isolator>));
        }
        let link = |(name, isolator): (&'static str, Box<dyn Isolator>)| {
            let chosen = chosen.contains(name);
            if chosen {
                isolator.check(hierarchies)?;
            }
            Ok(Link { name, isolator, chosen })
        };
        Ok(Self { all: all.into_iter().map(link).collect::<Result<_, Error>>()? })
    }

    /// The names of those that new containers get.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.chosen().map(|link| link.name).collect()
    }

    /// The controllers that new containers are put under.
    pub(crate) fn controllers(&self) -> BTreeSet<Controller> {
        self.chosen().flat_map(|link| link.isolator.controllers()).copied().collect()
    }

    /// Has all decide.
    pub(crate) fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        for (field, isolator) in request.spec.needs() {
            if !request.has(isolator) {
                let reason = format!("needs the isolator {isolator}; add it to --isolation");
                return Err(Error::Spec { field, reason });
            }
        }
        self.chosen().filter(|link| request.has(link.name)).try_for_each(|link| {
            draft.hand_to(link.name);
            link.isolator.prepare(request, draft)
        })
    }

    /// Has all make what the container needs.
    pub(crate) fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        self.of(subject).try_for_each(|link| link.isolator.isolate(subject))
    }

    /// What is to be waited for.
    pub(crate) fn watch(&self, subject: &Arc<Subject>) -> Vec<Watch> {
        self.of(subject).filter_map(|link| link.isolator.watch(subject)).collect()
    }

    /// Other resources for a running container.
    pub(crate) fn update(&self, subject: &Subject, resources: &Resources) -> Result<(), Error> {
        self.of(subject).try_for_each(|link| link.isolator.update(subject, resources))
    }

    /// What a running container has used. An isolator that cannot tell is left out.
    pub(crate) fn usage(&self, subject: &Subject) -> Usage {
        let mut usage = Usage::default();
        for link in self.of(subject) {
            if let Err(error) = link.isolator.usage(subject, &mut usage) {
                tracing::debug!(id = subject.id, isolator = link.name, %error, "no usage");
            }
        }
        usage
    }

    /// What there is to tell of a running container. An isolator that cannot tell is left out.
    pub(crate) fn status(&self, subject: &Subject) -> Status {
        let mut status = Status::default();
        for link in self.of(subject) {
            if let Err(error) = link.isolator.status(subject, &mut status) {
                tracing::debug!(id = subject.id, isolator = link.name, %error, "no status");
            }
        }
        status
    }

    /// Has all remove what they made, the last one first. All are tried.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) fn cleanup(&self, subject: &Subject) -> Result<(), Error> {
        let mut result = Ok(());
        for link in self.of(subject).rev() {
            let cleaned = link.isolator.cleanup(subject);
            if let (Err(error), Err(_)) = (&cleaned, &result) {
                tracing::warn!(id = subject.id, isolator = link.name, %error, "cannot clean up");
            }
            result = result.and(cleaned);
        }
        result
    }

    /// Has all forget a container that there is not.
    pub(crate) fn forget(&self, id: &str) {
        self.all.iter().for_each(|link| link.isolator.forget(id));
    }

    /// Tells all which containers there are.
    pub(crate) fn recover(&self, known: &[Arc<Subject>]) -> Result<(), Error> {
        for subject in known {
            let strange = |name: &&String| self.all.iter().all(|link| link.name != name.as_str());
            for name in subject.isolators.iter().filter(strange) {
                tracing::warn!(id = subject.id, isolator = name, "not known in this version");
            }
        }
        self.all.iter().try_for_each(|link| {
            let own = known.iter().filter(|subject| link.has(subject)).cloned();
            link.isolator.recover(&own.collect::<Vec<_>>())
        })
    }

    fn chosen(&self) -> impl Iterator<Item = &Link> {
        self.all.iter().filter(|link| link.chosen)
    }

    fn of(&self, subject: &Subject) -> impl DoubleEndedIterator<Item = &Link> {
        self.all.iter().filter(|link| link.has(subject))
    }
}

impl Link {
    fn has(&self, subject: &Subject) -> bool {
        subject.isolators.iter().any(|name| name == self.name)
    }
}
