//! Changes that belong together.

/// One row's new value, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The table, created by its first row.
    pub table: &'static str,
    /// The row's key.
    pub key: String,
    /// The new value; `None` deletes the row.
    pub value: Option<Vec<u8>>,
}

/// Changes that are applied together or not at all, later ones over earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<Change>,
}

impl Batch {
    /// Sets the row `key` of `table`.
    pub fn put(&mut self, table: &'static str, key: impl Into<String>, value: Vec<u8>) {
        self.changes.push(Change { table, key: key.into(), value: Some(value) });
    }

    /// Deletes the row `key` of `table`, if it is there.
    pub fn delete(&mut self, table: &'static str, key: impl Into<String>) {
        self.changes.push(Change { table, key: key.into(), value: None });
    }

    /// Adds the changes of `later` after those already here.
    pub fn append(&mut self, mut later: Self) {
        self.changes.append(&mut later.changes);
    }

    /// Whether there is nothing to apply.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes in the order in which they apply.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }
}
