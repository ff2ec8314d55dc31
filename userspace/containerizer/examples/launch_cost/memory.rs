//! Memory of processes, by `proc_pid_smaps_rollup(5)`.

use std::error::Error;
use std::fs;
use std::ops::AddAssign;

/// In bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    /// What nobody else has.
    pub(crate) private: u64,
    /// With its part of what is shared.
    pub(crate) proportional: u64,
}

/// The memory of a process.
pub(crate) fn of(pid: &str) -> Result<Memory, Box<dyn Error>> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let mut memory = Memory::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(number)) = (words.next(), words.next()) else { continue };
        match name {
            "Private_Clean:" | "Private_Dirty:" => memory.private += number.parse::<u64>()? << 10,
            "Pss:" => memory.proportional = number.parse::<u64>()? << 10,
            _ => {}
        }
    }
    Ok(memory)
}

/// The parent of a process.
pub(crate) fn parent(pid: u32) -> Result<u32, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    Ok(parent.ok_or("no PPid")?.trim().parse()?)
}

impl AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        self.private += other.private;
        self.proportional += other.proportional;
    }
}
