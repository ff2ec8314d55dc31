//! The file that names the machines that may be offered.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Error;
use crate::core::Input;
use crate::kernel::{Kernel, Message};

/// Time between looks at the file, Mesos' constant.
const INTERVAL: Duration = Duration::from_secs(5);

/// Has only the machines offered that the file names, one a line, and looks at it again every
/// five seconds. While it cannot be read, what it said last holds.
///
/// # Errors
/// [`Error::Whitelist`] when it cannot be read now; [`Error::Stopped`].
pub async fn follow(kernel: &Kernel, path: PathBuf) -> Result<(), Error> {
    let mut last = read(&path).await?;
    send(kernel, last.clone()).await?;
    let kernel = kernel.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            match read(&path).await {
                Ok(listed) if listed == last => {}
                Ok(listed) => {
                    tracing::info!(machines = listed.len(), "the whitelist has changed");
                    if send(&kernel, listed.clone()).await.is_err() {
                        return;
                    }
                    last = listed;
                }
                Err(error) => tracing::warn!(%error, "the whitelist stays as it was"),
            }
        }
    });
    Ok(())
}

async fn send(kernel: &Kernel, listed: BTreeSet<String>) -> Result<(), Error> {
    kernel.send(Message::Input(Input::Whitelist(Some(listed)))).await
}

async fn read(path: &Path) -> Result<BTreeSet<String>, Error> {
    let text = tokio::fs::read_to_string(path)
        .await
        .map_err(|source| Error::Whitelist { path: path.to_owned(), source })?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
