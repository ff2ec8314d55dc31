//! Which ids of the host are whose: no container has any of another's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::isolator::{Isolation, Subject};
use crate::{Error, IdRange};

/// The ids that containers can have, and those that they have. Which a container has is in its
/// checkpoint too, as a part of its plan.
pub(super) struct Users {
    all: IdRange,
    /// How many each gets.
    size: u32,
    taken: Mutex<HashMap<String, IdRange>>,
}

impl Users {
    /// With these flags; `None` if users of containers are those of the host.
    pub(super) fn new(flags: &Isolation) -> Result<Option<Self>, Error> {
        let all = match (flags.user_namespaces, flags.user_namespaces_range) {
            (false, _) => return Ok(None),
            (true, Some(range)) => range,
            (true, None) => IdRange::of_machine()?,
        };
        let size = flags.user_namespaces_size;
        if size == 0 || size > all.count() {
            let reason = format!("{size} is not 1 to {}, as many ids as there are", all.count());
            return Err(Error::Config { field: "user_namespaces_size", reason });
        }
        tracing::info!(range = %all, containers = all.count() / size, "ids for containers");
        Ok(Some(Self { all, size, taken: Mutex::default() }))
    }

    /// Sets ids aside for the container `id`.
    pub(super) fn take(&self, id: &str) -> Result<IdRange, Error> {
        let mut taken = self.taken();
        let free = |part: &IdRange| !taken.values().any(|other| other.overlaps(*part));
        let Some(own) = self.all.parts(self.size).find(free) else {
            let (parts, all) = (self.all.count() / self.size, self.all);
            let reason = format!(
                "all {parts} times {} ids of {all} are in use; give more with \
                 --user-namespaces-range, or fewer to each with --user-namespaces-size",
                self.size
            );
            return Err(Error::Spec { field: "user_namespaces", reason });
        };
        taken.insert(id.to_owned(), own);
        Ok(own)
    }

    /// They are free again.
    pub(super) fn release(&self, id: &str) {
        self.taken().remove(id);
    }

    /// Takes note of what earlier containers have.
    pub(super) fn recover(&self, known: &[Arc<Subject>]) {
        let outermost = known.iter().filter(|subject| subject.parent.is_none());
        let held = outermost.filter_map(|subject| Some((subject.id.clone(), subject.plan.ids?)));
        self.taken().extend(held);
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, IdRange>> {
        // Nothing is ever half done under this lock.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Version;
    use crate::isolator::testing;

    fn users(range: &str, size: u32) -> Result<Users, String> {
        let flags = Isolation {
            user_namespaces: true,
            user_namespaces_range: Some(range.parse().unwrap()),
            user_namespaces_size: size,
            ..Isolation::default()
        };
        Users::new(&flags).map(Option::unwrap).map_err(|error| error.to_string())
    }

    fn range(first: u32, count: u32) -> IdRange {
        IdRange::new(first, count).unwrap()
    }

    #[test]
    fn each_has_its_own_until_there_are_no_more() {
        let users = users("1000:250", 100).unwrap();
        assert_eq!(users.take("a").unwrap(), range(1000, 100));
        assert_eq!(users.take("b").unwrap(), range(1100, 100));
        let error = users.take("c").unwrap_err().to_string();
        let said = "user_namespaces: all 2 times 100 ids of 1000:250 are in use; give more with \
                    --user-namespaces-range, or fewer to each with --user-namespaces-size";
        assert_eq!(error, said);
        users.release("a");
        users.release("a");
        assert_eq!(users.take("c").unwrap(), range(1000, 100));
    }

    #[test]
    fn what_earlier_containers_have_is_theirs_however_it_was_shared_out() {
        let users = users("1000:400", 100).unwrap();
        let (_directory, mut subject) = testing::subject(Version::V2, &[]);
        subject.plan.ids = Some(range(1050, 100));
        let mut nested = subject.clone();
        (nested.id, nested.parent) = ("c/d".into(), Some("c".into()));
        users.recover(&[Arc::new(subject), Arc::new(nested)]);
        assert_eq!(users.take("a").unwrap(), range(1200, 100));
        users.release("c");
        assert_eq!(users.take("b").unwrap(), range(1000, 100));
    }

    #[test]
    fn more_than_there_are_is_refused_at_once() {
        for size in [0, 101] {
            let error = users("1000:100", size).err().unwrap();
            let expected =
                format!("user_namespaces_size: {size} is not 1 to 100, as many ids as there are");
            assert_eq!(error, expected);
        }
    }
}
