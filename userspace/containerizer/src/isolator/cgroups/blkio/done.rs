//! What a container did with block devices.

use std::collections::BTreeMap;

use crate::cgroup::{Place, Version, file};
use crate::{DeviceIo, DeviceNumber, Error};

/// What the group at `place` did, by device.
pub(super) fn read(place: Place<'_>) -> Result<Vec<DeviceIo>, Error> {
    let mut done = BTreeMap::new();
    match place.version {
        Version::V1 => {
            let text = |name: &str| file::read(&place.directory.join(name));
            let bytes = text("blkio.throttle.io_service_bytes")?;
            each_v1(&bytes, &mut done, |io, operation, count| match operation {
                "Read" => io.read_bytes = count,
                "Write" => io.write_bytes = count,
                "Discard" => io.discarded_bytes = count,
                _ => {}
            });
            let operations = text("blkio.throttle.io_serviced")?;
            each_v1(&operations, &mut done, |io, operation, count| match operation {
                "Read" => io.reads = count,
                "Write" => io.writes = count,
                "Discard" => io.discards = count,
                _ => {}
            });
        }
        Version::V2 => {
            for line in file::read(&place.directory.join("io.stat"))?.lines() {
                let mut words = line.split(' ');
                let Some(device) = device(words.next()) else { continue };
                let io = done.entry(device).or_insert_with(|| DeviceIo::none(device));
                for (name, count) in words.filter_map(|word| word.split_once('=')) {
                    let slot = match name {
                        "rbytes" => &mut io.read_bytes,
                        "wbytes" => &mut io.write_bytes,
                        "dbytes" => &mut io.discarded_bytes,
                        "rios" => &mut io.reads,
                        "wios" => &mut io.writes,
                        "dios" => &mut io.discards,
                        _ => continue,
                    };
                    *slot = count.parse().unwrap_or(*slot);
                }
            }
        }
    }
    Ok(done.into_values().collect())
}

/// Goes over lines of `8:0 Read 4096`.
fn each_v1(
    text: &str,
    done: &mut BTreeMap<DeviceNumber, DeviceIo>,
    set: impl Fn(&mut DeviceIo, &str, u64),
) {
    for line in text.lines() {
        let mut words = line.split(' ');
        if let (Some(device), Some(operation), Some(count)) =
            (device(words.next()), words.next(), words.next())
            && let Ok(count) = count.parse()
        {
            let io = done.entry(device).or_insert_with(|| DeviceIo::none(device));
            set(io, operation, count);
        }
    }
}

/// The device of a line; `None` for the line of sums.
fn device(word: Option<&str>) -> Option<DeviceNumber> {
    word?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Controller;
    use crate::isolator::testing;

    fn expected() -> [DeviceIo; 2] {
        let none = |major, minor| DeviceIo::none(DeviceNumber { major, minor });
        [
            DeviceIo { read_bytes: 4096, reads: 1, ..none(8, 0) },
            DeviceIo {
                read_bytes: 1,
                write_bytes: 2,
                discarded_bytes: 3,
                reads: 4,
                writes: 5,
                discards: 6,
                ..none(254, 0)
            },
        ]
    }

    #[test]
    fn v1_by_operation() {
        let bytes = "254:0 Read 1\n254:0 Write 2\n254:0 Sync 3\n254:0 Async 0\n\
                     254:0 Discard 3\n254:0 Total 6\n8:0 Read 4096\n8:0 Total 4096\nTotal 4102\n";
        let operations = "254:0 Read 4\n254:0 Write 5\n254:0 Discard 6\n8:0 Read 1\nTotal 16\n";
        let (_directory, subject) = testing::subject(
            Version::V1,
            &[
                ("c/blkio/c/blkio.throttle.io_service_bytes", bytes),
                ("c/blkio/c/blkio.throttle.io_serviced", operations),
            ],
        );
        let place = subject.plan.group.place(Controller::Blkio).unwrap();
        assert_eq!(read(place).unwrap(), expected());
    }

    #[test]
    fn v2_by_line() {
        let text = "254:0 rbytes=1 wbytes=2 rios=4 wios=5 dbytes=3 dios=6\n\
                    8:0 rbytes=4096 wbytes=0 rios=1 wios=0 cost.usage=7\n";
        let (_directory, subject) = testing::subject(Version::V2, &[("c/c/io.stat", text)]);
        let place = subject.plan.group.place(Controller::Blkio).unwrap();
        assert_eq!(read(place).unwrap(), expected());
    }
}
