//! Whether a group's memory has run out.

use std::path::Path;

use super::file;
use super::passing::LEAF;
use crate::Error;

/// Whether the kernel killed something because the memory of this group of v2 ran out, or that
/// of the machine. Linux 5.2 or later.
///
/// `oom_kill` of `memory.events` counts what is killed in the groups below as well: that of a
/// nested container, which went over a limit of its own, is no news of the one around it. So this
/// group itself must have been at its limit (`oom` of `memory.events.local`), or one of its
/// own processes been killed.
pub(crate) fn ran_out(directory: &Path) -> Result<bool, Error> {
    let count = |path: &Path, key: &str| {
        Ok::<_, Error>(file::field(&file::read(path)?, key).unwrap_or_default())
    };
    if count(&directory.join("memory.events"), "oom_kill")? == 0 {
        return Ok(false);
    }
    let local = directory.join("memory.events.local");
    if count(&local, "oom")? > 0 || count(&local, "oom_kill")? > 0 {
        return Ok(true);
    }
    let leaf = directory.join(LEAF);
    Ok(leaf.is_dir() && count(&leaf.join("memory.events.local"), "oom_kill")? > 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_is_its_own_is_news_of_a_group() {
        let group = tempfile::tempdir().unwrap();
        let write = |name: &str, oom: u32, kills: u32| {
            let path = group.path().join(name);
            fs::write(path, format!("max 3\noom {oom}\noom_kill {kills}\n")).unwrap();
        };
        write("memory.events", 1, 0);
        write("memory.events.local", 1, 0);
        assert!(!ran_out(group.path()).unwrap(), "nothing was killed");
        write("memory.events", 1, 1);
        assert!(ran_out(group.path()).unwrap());
        write("memory.events.local", 0, 0);
        assert!(!ran_out(group.path()).unwrap(), "a nested container was");
        write("memory.events.local", 0, 1);
        assert!(ran_out(group.path()).unwrap(), "the machine ran out");
        write("memory.events.local", 0, 0);
        fs::create_dir(group.path().join(LEAF)).unwrap();
        write("leaf/memory.events.local", 0, 0);
        assert!(!ran_out(group.path()).unwrap());
        write("leaf/memory.events.local", 0, 2);
        assert!(ran_out(group.path()).unwrap());
    }
}
