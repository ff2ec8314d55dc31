//! A store in one file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use crate::room::Room;
use crate::{Batch, Error, Store};

/// Format of the tables' contents; raised when an older version could not read them.
const FORMAT: u64 = 1;
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("muster.meta");
const FORMAT_KEY: &str = "format";

/// How long another process may take to let go: the lock of one that was killed lives on in
/// a child that it was just starting, until the child's exec.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often that is looked at: locks have no events.
const PAUSE: Duration = Duration::from_millis(10);

/// A [`Store`] in one redb file: a copy-on-write B-tree, so a crash at any moment
/// leaves the last committed state. One process may have it open.
///
/// After a commit that failed, as on a full disk, redb takes no more: the file is closed
/// then and opened anew for the next use, so that things go on once there is room again. A
/// little room is kept beside it, in `<path>.room`, for what has to be written of a full disk.
#[derive(Debug)]
pub struct Redb {
    path: PathBuf,
    database: Mutex<Option<Database>>,
    room: Room,
}

impl Redb {
    /// Opens the store at `path`, making it and its directory when absent. Blocks for up to
    /// two seconds while another process has it.
    ///
    /// # Errors
    /// [`Error::Unreadable`] and [`Error::Newer`] leave the file as it was;
    /// [`Error::InUse`] when another process has it; [`Error::Directory`] and
    /// [`Error::Io`] when it cannot be made.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .map_err(|source| Error::Directory { path: directory.into(), source })?;
        }
        let missing = !path.try_exists().map_err(|source| unreadable(path, source))?;
        let database = if missing { create(path)? } else { open_patiently(path)? };
        let room = Room::new(path.with_added_extension("room"));
        let store = Self { path: path.into(), database: Mutex::new(Some(database)), room };
        store.with(|database| store.check_format(database))?;
        store.keep_room();
        Ok(store)
    }

    /// Does something with the file, opening it if an earlier use has failed.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Error> {
        let mut place = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match place.take() {
            Some(database) => database,
            None => open(&self.path)?,
        };
        let done = work(&database)?;
        *place = Some(database);
        Ok(done)
    }

    /// Refuses a later format.
    fn check_format(&self, database: &Database) -> Result<(), Error> {
        let read = database.begin_read().map_err(|e| self.io("read", e))?;
        let found = match read.open_table(META) {
            Ok(meta) => {
                meta.get(FORMAT_KEY).map_err(|e| self.io("read", e))?.map(|format| format.value())
            }
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(e) => return Err(self.io("read", e)),
        };
        match found {
            Some(found) if found > FORMAT => {
                Err(Error::Newer { path: self.path.clone(), found, supported: FORMAT })
            }
            Some(_) => Ok(()),
            // A redb file without a format is another program's.
            None => Err(unreadable(
                &self.path,
                io::Error::new(io::ErrorKind::InvalidData, "it holds no format number"),
            )),
        }
    }

    fn io(&self, operation: &'static str, source: impl Into<redb::Error>) -> Error {
        Error::Io { path: self.path.clone(), operation, source: Box::new(source.into()) }
    }
}

impl Store for Redb {
    fn scan(&self, table: &'static str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        self.with(|database| self.read(database, table))
    }

    fn commit(&self, batch: Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        match self.with(|database| self.write(database, &batch)) {
            Err(error) if error.is_full() && self.give_room() => {
                tracing::warn!(%error, "written to the room that is kept for that");
                self.with(|database| self.write(database, &batch))?;
            }
            done => done?,
        }
        self.keep_room();
        Ok(())
    }
}

impl Redb {
    /// Whether there is room now that was kept.
    fn give_room(&self) -> bool {
        self.room.give().unwrap_or_else(|error| {
            tracing::warn!(%error, path = %self.path.display(), "the room kept cannot be given up");
            false
        })
    }

    fn keep_room(&self) {
        // A full disk is told of by what fails for it.
        if let Err(error) = self.room.keep() {
            tracing::debug!(%error, path = %self.path.display(), "no room is kept");
        }
    }

    fn read(
        &self,
        database: &Database,
        table: &'static str,
    ) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let read = database.begin_read().map_err(|e| self.io("read", e))?;
        let definition: TableDefinition<'_, &str, &[u8]> = TableDefinition::new(table);
        let rows = match read.open_table(definition) {
            Ok(rows) => rows,
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(e) => return Err(self.io("read", e)),
        };
        rows.iter()
            .map_err(|e| self.io("read", e))?
            .map(|row| {
                let (key, value) = row.map_err(|e| self.io("read", e))?;
                Ok((key.value().to_owned(), value.value().to_vec()))
            })
            .collect()
    }

    fn write(&self, database: &Database, batch: &Batch) -> Result<(), Error> {
        // Durability::Immediate is the default: the commit returns after fsync.
        let write = database.begin_write().map_err(|e| self.io("commit", e))?;
        for change in batch.changes() {
            let definition: TableDefinition<'_, &str, &[u8]> = TableDefinition::new(change.table);
            let mut rows = write.open_table(definition).map_err(|e| self.io("commit", e))?;
            match &change.value {
                Some(value) => rows.insert(change.key.as_str(), value.as_slice()).map(drop),
                None => rows.remove(change.key.as_str()).map(drop),
            }
            .map_err(|e| self.io("commit", e))?;
        }
        write.commit().map_err(|e| self.io("commit", e))
    }
}

/// Makes the file under another name and moves it into place, so that a crash midway
/// leaves no half-made store behind for the next start to refuse.
fn create(path: &Path) -> Result<Database, Error> {
    let draft = path.with_extension("redb.new");
    let failed = |source: redb::Error| Error::Io {
        path: path.into(),
        operation: "commit",
        source: Box::new(source),
    };
    match std::fs::remove_file(&draft) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e.into())),
        _ => {}
    }
    let database = Database::create(&draft).map_err(|e| failed(e.into()))?;
    let write = database.begin_write().map_err(|e| failed(e.into()))?;
    write
        .open_table(META)
        .map_err(|e| failed(e.into()))?
        .insert(FORMAT_KEY, FORMAT)
        .map_err(|e| failed(e.into()))?;
    write.commit().map_err(|e| failed(e.into()))?;
    drop(database);
    std::fs::rename(&draft, path).map_err(|e| failed(e.into()))?;
    if let Some(directory) = path.parent() {
        std::fs::File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|e| failed(e.into()))?;
    }
    open(path)
}

fn open_patiently(path: &Path) -> Result<Database, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match open(path) {
            Err(Error::InUse { .. }) if Instant::now() < deadline => thread::park_timeout(PAUSE),
            opened => return opened,
        }
    }
}

fn open(path: &Path) -> Result<Database, Error> {
    Database::open(path).map_err(|e| match e {
        DatabaseError::DatabaseAlreadyOpen => Error::InUse { path: path.into() },
        e => unreadable(path, e),
    })
}

fn unreadable(path: &Path, source: impl Into<redb::Error>) -> Error {
    Error::Unreadable { path: path.into(), source: Box::new(source.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(table: &'static str, key: &str, value: &[u8]) -> Batch {
        let mut batch = Batch::default();
        batch.put(table, key, value.to_vec());
        batch
    }

    #[test]
    fn rows_survive_and_come_in_key_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("below/that/registry.redb");
        let store = Redb::open(&path).unwrap();
        assert_eq!(store.scan("agents").unwrap(), []);
        let mut batch = put("agents", "b", b"2");
        batch.put("agents", "a", b"1".to_vec());
        batch.put("agents", "c", b"3".to_vec());
        batch.delete("agents", "c");
        batch.delete("agents", "never there");
        store.commit(batch).unwrap();
        drop(store);
        let rows = Redb::open(&path).unwrap().scan("agents").unwrap();
        assert_eq!(rows, [("a".into(), b"1".to_vec()), ("b".into(), b"2".to_vec())]);
    }

    #[test]
    fn a_second_opener_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.redb");
        let _first = Redb::open(&path).unwrap();
        assert!(matches!(Redb::open(&path), Err(Error::InUse { .. })));
    }

    #[test]
    fn a_holder_that_is_about_to_let_go_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.redb");
        let first = Redb::open(&path).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::park_timeout(PAUSE * 5);
                drop(first);
            });
            Redb::open(&path).unwrap();
        });
    }

    #[test]
    fn garbage_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.redb");
        for garbage in [&b""[..], b"not a store", &[0xff; 8192]] {
            std::fs::write(&path, garbage).unwrap();
            let error = Redb::open(&path).unwrap_err();
            assert!(matches!(error, Error::Unreadable { .. }), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), garbage);
        }
    }

    #[test]
    fn a_truncated_store_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.redb");
        Redb::open(&path).unwrap().commit(put("t", "k", &vec![7; 100_000])).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let half = &whole[..whole.len() / 2];
        std::fs::write(&path, half).unwrap();
        assert!(Redb::open(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), half);
    }

    /// A file system of one megabyte, gone with the guard.
    struct Small(PathBuf);

    impl Drop for Small {
        fn drop(&mut self) {
            let done = std::process::Command::new("umount").arg(&self.0).status().unwrap();
            assert!(done.success());
        }
    }

    #[test]
    fn a_full_disk_refuses_a_commit_and_takes_the_next_once_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let mount = |options: &[&str]| {
            let mut command = std::process::Command::new("mount");
            command.args(["-t", "tmpfs", "-o"]).args(options).arg("tmpfs").arg(dir.path());
            command.status().unwrap().success()
        };
        if !mount(&["size=4m"]) {
            assert!(std::env::var_os("CI").is_none(), "mounting a tmpfs needs root");
            eprintln!("skipped: mounting a tmpfs needs root");
            return;
        }
        let small = Small(dir.path().to_owned());
        let store = Redb::open(&dir.path().join("registry.redb")).unwrap();
        store.commit(put("t", "before", b"1")).unwrap();
        let ballast = dir.path().join("ballast");
        let filled = std::fs::write(&ballast, vec![1; 8 << 20]);
        assert_eq!(filled.unwrap_err().kind(), io::ErrorKind::StorageFull);
        let big = put("t", "big", &vec![7; 1 << 20]);
        for _ in 0..2 {
            let error = store.commit(big.clone()).unwrap_err();
            assert!(error.to_string().contains("registry.redb"), "{error}");
        }
        std::fs::remove_file(&ballast).unwrap();
        store.commit(big).unwrap();
        let keys: Vec<String> = store.scan("t").unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["before", "big"]);
        drop((store, small));
    }

    #[test]
    fn a_later_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.redb");
        let store = Redb::open(&path).unwrap();
        store
            .with(|database| {
                let write = database.begin_write().unwrap();
                write.open_table(META).unwrap().insert(FORMAT_KEY, FORMAT + 1).unwrap();
                write.commit().unwrap();
                Ok(())
            })
            .unwrap();
        drop(store);
        let error = Redb::open(&path).unwrap_err();
        assert!(matches!(error, Error::Newer { found: 2, supported: 1, .. }), "{error}");
    }

    #[test]
    fn a_crash_while_making_the_file_does_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.redb");
        std::fs::write(path.with_extension("redb.new"), b"half").unwrap();
        Redb::open(&path).unwrap().commit(put("t", "k", b"v")).unwrap();
    }
}
