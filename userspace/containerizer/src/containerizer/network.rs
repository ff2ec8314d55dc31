//! Where a container's network is.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;

use crate::Error;
use crate::error::At as _;
use crate::pid::ProcessId;

/// The network namespace of the process `init`, if it is not that of this thread.
pub(super) fn of(id: &str, init: Option<ProcessId>) -> Result<Option<OwnedFd>, Error> {
    let gone = || Error::NotRunning { id: id.to_owned() };
    let init = init.ok_or_else(gone)?;
    // As long as it is open its number is no other process'.
    let Some(process) = init.open()? else { return Err(gone()) };
    let path = format!("/proc/{}/ns/net", init.pid);
    let its = match File::open(&path) {
        Ok(its) => its,
        Err(_) if crate::pid::ended(&process) => return Err(gone()),
        Err(error) => return Err(error).at("open", path),
    };
    if crate::pid::ended(&process) {
        return Err(gone());
    }
    let own_path = "/proc/thread-self/ns/net";
    let own = std::fs::metadata(own_path).at("stat", own_path)?;
    let found = its.metadata().at("stat", path)?;
    let same = (own.dev(), own.ino()) == (found.dev(), found.ino());
    Ok((!same).then(|| its.into()))
}
