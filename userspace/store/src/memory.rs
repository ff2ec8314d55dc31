//! A store without a disk.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::{Batch, Error, Store};

type Tables = BTreeMap<&'static str, BTreeMap<String, Vec<u8>>>;

/// Rows in memory: for simulations, where a crash keeps the store and loses the rest.
#[derive(Debug, Default)]
pub struct Memory {
    tables: Mutex<Tables>,
}

impl Store for Memory {
    fn scan(&self, table: &'static str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = tables.get(table).into_iter().flatten();
        Ok(rows.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&self, batch: Batch) -> Result<(), Error> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        for change in batch.changes() {
            let rows = tables.entry(change.table).or_default();
            match &change.value {
                Some(value) => rows.insert(change.key.clone(), value.clone()),
                None => rows.remove(&change.key),
            };
        }
        Ok(())
    }
}
