//! What users asked for, and which of it they were told was done.

use std::collections::BTreeMap;

/// What an application should be: how many instances of which command; `None` is gone.
pub(super) type Wanted = Option<(u32, String)>;

/// What may be found in the end. What was promised must be there, unless something later
/// was asked for: an answer may have been lost in a crash, but not what came before it.
#[derive(Default)]
pub(super) struct Promises {
    possible: BTreeMap<String, Vec<Wanted>>,
}

impl Promises {
    /// What `app` is by the last promise, or what was asked for since.
    pub(super) fn possible(&self, app: &str) -> Vec<Wanted> {
        self.possible.get(app).cloned().unwrap_or_else(|| vec![None])
    }

    /// Something is being asked for.
    pub(super) fn asked(&mut self, app: &str, wanted: Wanted) {
        let mut possible = self.possible(app);
        possible.push(wanted);
        self.possible.insert(app.to_owned(), possible);
    }

    /// The last thing that was asked for was promised, or refused.
    pub(super) fn answered(&mut self, app: &str, promised: bool) {
        let mut possible = self.possible(app);
        let last = possible.pop().unwrap();
        if promised {
            possible = vec![last];
        }
        self.possible.insert(app.to_owned(), possible);
    }
}
