//! What a container has of memory.

use super::{limit, max_usage};
use crate::cgroup::{Place, Version, file};
use crate::{Error, Usage};

/// Adds what the group at `place` counts.
pub(super) fn add(place: Place<'_>, usage: &mut Usage) -> Result<(), Error> {
    let text = file::read(&place.directory.join("memory.stat"))?;
    let field = |key| file::field(&text, key);
    let number = |name| file::number(&place.directory.join(name));
    // Files that depend on the kernel's configuration and age.
    let optional = |name| file::optional(&place.directory.join(name));
    match place.version {
        Version::V1 => {
            usage.mem_total_bytes = number("memory.usage_in_bytes")?;
            usage.mem_total_memsw_bytes = optional("memory.memsw.usage_in_bytes")?;
            usage.mem_kmem_usage_bytes = optional("memory.kmem.usage_in_bytes")?;
            usage.mem_kmem_tcp_usage_bytes = optional("memory.kmem.tcp.usage_in_bytes")?;
            usage.mem_soft_limit_bytes = number("memory.soft_limit_in_bytes")?;
            usage.mem_rss_bytes = field("total_rss");
            usage.mem_cache_bytes = field("total_cache");
            usage.mem_mapped_file_bytes = field("total_mapped_file");
            usage.mem_swap_bytes = field("total_swap");
            usage.mem_unevictable_bytes = field("total_unevictable");
        }
        Version::V2 => {
            usage.mem_total_bytes = number("memory.current")?;
            usage.mem_swap_bytes = optional("memory.swap.current")?;
            let swapped = |total| total + usage.mem_swap_bytes.unwrap_or(0);
            usage.mem_total_memsw_bytes = usage.mem_total_bytes.map(swapped);
            usage.mem_kmem_usage_bytes = field("kernel");
            usage.mem_kmem_tcp_usage_bytes = field("sock");
            usage.mem_soft_limit_bytes = number("memory.low")?;
            usage.mem_rss_bytes = field("anon");
            usage.mem_cache_bytes = field("file");
            usage.mem_mapped_file_bytes = field("file_mapped");
            usage.mem_unevictable_bytes = field("unevictable");
        }
    }
    usage.mem_limit_bytes = limit(place)?;
    usage.mem_max_usage_bytes = max_usage(place)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Controller;
    use crate::isolator::testing;

    #[test]
    fn v1_counts_with_all_below() {
        let stat = "cache 1\nrss 2\ntotal_cache 10\ntotal_rss 20\ntotal_mapped_file 5\n\
                    total_swap 6\ntotal_unevictable 7\n";
        let (_directory, subject) = testing::subject(
            Version::V1,
            &[
                ("c/memory/c/memory.soft_limit_in_bytes", "400\n"),
                ("c/memory/c/memory.limit_in_bytes", "9223372036854771712\n"),
                ("c/memory/c/memory.usage_in_bytes", "500\n"),
                ("c/memory/c/memory.max_usage_in_bytes", "600\n"),
                ("c/memory/c/memory.kmem.usage_in_bytes", "9\n"),
                ("c/memory/c/memory.stat", stat),
            ],
        );
        let mut usage = Usage::default();
        add(subject.plan.group.place(Controller::Memory).unwrap(), &mut usage).unwrap();
        let expected = Usage {
            mem_total_bytes: Some(500),
            mem_kmem_usage_bytes: Some(9),
            mem_soft_limit_bytes: Some(400),
            mem_rss_bytes: Some(20),
            mem_cache_bytes: Some(10),
            mem_mapped_file_bytes: Some(5),
            mem_swap_bytes: Some(6),
            mem_unevictable_bytes: Some(7),
            mem_max_usage_bytes: Some(600),
            ..Usage::default()
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn v2_counts() {
        let stat = "anon 20\nfile 10\nkernel 9\nsock 3\nfile_mapped 5\nunevictable 7\n";
        let (_directory, subject) = testing::subject(
            Version::V2,
            &[
                ("c/c/memory.low", "400\n"),
                ("c/c/memory.max", "700\n"),
                ("c/c/memory.current", "500\n"),
                ("c/c/memory.swap.current", "6\n"),
                ("c/c/memory.stat", stat),
            ],
        );
        let mut usage = Usage::default();
        add(subject.plan.group.place(Controller::Memory).unwrap(), &mut usage).unwrap();
        let expected = Usage {
            mem_total_bytes: Some(500),
            mem_total_memsw_bytes: Some(506),
            mem_kmem_usage_bytes: Some(9),
            mem_kmem_tcp_usage_bytes: Some(3),
            mem_soft_limit_bytes: Some(400),
            mem_limit_bytes: Some(700),
            mem_rss_bytes: Some(20),
            mem_cache_bytes: Some(10),
            mem_mapped_file_bytes: Some(5),
            mem_swap_bytes: Some(6),
            mem_unevictable_bytes: Some(7),
            ..Usage::default()
        };
        assert_eq!(usage, expected);
    }
}
