//! Files that several tasks want, fetched once.

mod table;

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::Problem;
use super::cancel::Cancel;
use super::download::{Client, Origin, write};
use super::uri::Item;
use crate::Error;
use crate::error::At as _;
use crate::removal::remove_tree;
use table::{Found, Key, Number, Table};

/// How often one who waits looks whether he still has to.
const LOOK: Duration = Duration::from_millis(200);

/// A directory of files, of which nothing outlasts this containerizer: what is half there
/// after a crash is never taken for whole.
pub(super) struct Cache {
    directory: PathBuf,
    /// Held as long as the directory is used.
    _lock: File,
    table: Mutex<Table>,
    changed: Condvar,
}

/// A file of the cache that stays as long as this does.
pub(super) struct Use<'a> {
    cache: &'a Cache,
    key: Key,
    number: Number,
}

impl Cache {
    /// An empty one in `directory`, of at most `capacity` bytes.
    pub(super) fn open(directory: &Path, capacity: u64) -> Result<Self, Error> {
        let files = directory.join("files");
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory).at("mkdir", directory)?;
        let path = directory.join("lock");
        let lock = File::create(&path).at("create", &path)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                let reason = format!(
                    "{} is in use by another agent; give each its own --fetcher-cache-dir",
                    directory.display()
                );
                return Err(Error::Config { field: "fetcher_cache_dir", reason });
            }
            locked => locked.at("flock", &path)?,
        }
        remove_tree(&files).at("remove", &files)?;
        builder.create(&files).at("mkdir", &files)?;
        let table = Mutex::new(Table::new(capacity));
        Ok(Self { directory: files, _lock: lock, table, changed: Condvar::new() })
    }

    /// The file that `item` wants, fetched for `user` if it is not here. `None` if there is no
    /// room for it, or if another's try to fetch it has failed: then the caller is to fetch it
    /// by himself.
    pub(super) fn get(
        &self,
        user: &str,
        item: &Item,
        client: &Client<'_>,
        cancel: &Cancel,
    ) -> Result<Option<Use<'_>>, Problem> {
        let key = (user.to_owned(), item.uri.clone());
        let found = self.table().enter(&key);
        let (Found::Complete(number) | Found::Coming(number) | Found::Missing(number)) = found;
        let used = Use { cache: self, key, number };
        match found {
            Found::Complete(_) => Ok(Some(used)),
            Found::Coming(_) => used.arrival(cancel),
            Found::Missing(_) => {
                let fetched = used.fetch(item, client, cancel);
                let mut table = self.table();
                if fetched.is_ok() {
                    table.complete(&used.key);
                } else {
                    table.abandon(&used.key);
                }
                drop(table);
                self.changed.notify_all();
                match fetched {
                    Ok(()) => Ok(Some(used)),
                    Err(error) => {
                        self.remove(number);
                        if let Problem::NoRoom = error { Ok(None) } else { Err(error) }
                    }
                }
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing is ever half done under this lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, number: Number) -> PathBuf {
        self.directory.join(number.to_string())
    }

    fn remove(&self, number: Number) {
        let path = self.path(number);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "cannot remove from the cache");
        }
    }
}

impl Use<'_> {
    /// Waits until another has fetched it.
    fn arrival(self, cancel: &Cancel) -> Result<Option<Self>, Problem> {
        let mut table = self.cache.table();
        loop {
            match table.look(&self.key, self.number) {
                Some(true) => break,
                Some(false) => {}
                None => {
                    drop(table);
                    return Ok(None);
                }
            }
            let waited = self.cache.changed.wait_timeout(table, LOOK);
            table = waited.unwrap_or_else(PoisonError::into_inner).0;
            cancel.check()?;
        }
        drop(table);
        Ok(Some(self))
    }

    fn fetch(&self, item: &Item, client: &Client<'_>, cancel: &Cancel) -> Result<(), Problem> {
        let origin = client.open(&item.source)?;
        let Origin { length, mode, .. } = origin;
        // Known at once if it is too large for all that there is.
        let mut promised = length.unwrap_or(0);
        self.grow(promised)?;
        let disk = |error: &dyn std::fmt::Display| {
            let path = self.cache.directory.display();
            tracing::warn!(%path, %error, uri = item.uri, "not cached");
            Problem::NoRoom
        };
        let path = self.cache.path(self.number);
        let created = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = created.map_err(|error| disk(&error))?;
        client.transfer(item, origin, cancel, |bytes| {
            let more = (bytes.len() as u64).saturating_sub(promised);
            promised = promised.saturating_sub(bytes.len() as u64);
            if more > 0 {
                self.grow(more)?;
            }
            write(&mut file, bytes).map_err(|error| disk(&error))
        })?;
        file.set_permissions(Permissions::from_mode(mode)).map_err(|error| disk(&error))
    }

    fn grow(&self, bytes: u64) -> Result<(), Problem> {
        let mut table = self.cache.table();
        for number in table.grow(&self.key, bytes).ok_or(Problem::NoRoom)? {
            self.cache.remove(number);
        }
        Ok(())
    }

    /// The file and its permissions.
    pub(super) fn open(&self) -> io::Result<(File, u32)> {
        let file = File::open(self.cache.path(self.number))?;
        let mode = file.metadata()?.permissions().mode();
        Ok((file, mode))
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        self.cache.table().leave(&self.key, self.number);
    }
}
