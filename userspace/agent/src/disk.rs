//! The checkpoints' store, through errors.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use muster_store::{Batch, Error, Redb, Store};

/// A store that is opened anew after a failed commit: redb takes no more writes then, also
/// when there is room again.
pub(crate) struct Disk {
    path: PathBuf,
    store: Mutex<Option<Redb>>,
}

impl Disk {
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        let store = Mutex::new(Some(Redb::open(&path)?));
        Ok(Self { path, store })
    }

    /// Does something with the store, opening it if need be.
    fn with<T>(&self, work: impl FnOnce(&Redb) -> Result<T, Error>) -> Result<T, Error> {
        let mut place = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match place.take() {
            Some(store) => store,
            None => Redb::open(&self.path)?,
        };
        let done = work(&store)?;
        *place = Some(store);
        Ok(done)
    }
}

impl Store for Disk {
    fn scan(&self, table: &'static str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        self.with(|store| store.scan(table))
    }

    fn commit(&self, batch: Batch) -> Result<(), Error> {
        self.with(|store| store.commit(batch))
    }
}
