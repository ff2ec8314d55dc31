//! Host ports of an offer.

use muster_api::mesos::{Resource, value};

/// Ranges of ports, both ends included.
#[derive(Clone, Debug)]
pub(super) struct PortRanges {
    ranges: Vec<(u16, u16)>,
}

impl PortRanges {
    /// The ports of `ranges` that are ports.
    pub(super) fn new(ranges: &value::Ranges) -> Self {
        let end = u64::from(u16::MAX);
        let port = |number: u64| u16::try_from(number.clamp(1, end)).unwrap_or(u16::MAX);
        let valid = |r: &&value::Range| r.begin <= r.end && r.begin <= end && r.end >= 1;
        let ranges = ranges.range.iter().filter(valid).map(|r| (port(r.begin), port(r.end)));
        Self { ranges: ranges.collect() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.ranges.iter().map(|(begin, end)| u64::from(end - begin) + 1).sum()
    }

    /// The port of this index.
    pub(super) fn at(&self, mut index: u64) -> Option<u16> {
        for (begin, end) in &self.ranges {
            let length = u64::from(end - begin) + 1;
            if index < length {
                return u16::try_from(u64::from(*begin) + index).ok();
            }
            index -= length;
        }
        None
    }

    /// Takes the port `number` out, if it is there.
    pub(super) fn take(&mut self, number: u16) -> bool {
        let inside = |(begin, end): &(u16, u16)| (*begin..=*end).contains(&number);
        let Some(position) = self.ranges.iter().position(inside) else { return false };
        let (begin, end) = self.ranges.remove(position);
        if number < end {
            self.ranges.insert(position, (number + 1, end));
        }
        if begin < number {
            self.ranges.insert(position, (begin, number - 1));
        }
        true
    }
}

/// One port of `resource`.
pub(super) fn single(resource: &Resource, number: u16) -> Resource {
    let number = u64::from(number);
    let range = vec![value::Range { begin: number, end: number }];
    Resource { ranges: Some(value::Ranges { range }), ..resource.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_is_there_once() {
        let range = |begin, end| value::Range { begin, end };
        let ranges = value::Ranges { range: vec![range(0, 2), range(65_535, 70_000), range(9, 8)] };
        let mut ports = PortRanges::new(&ranges);
        assert_eq!(ports.count(), 3);
        assert_eq!([0, 1, 2, 3].map(|i| ports.at(i)), [Some(1), Some(2), Some(65_535), None]);
        for number in [2, 65_535, 1] {
            assert!(ports.take(number));
            assert!(!ports.take(number));
        }
        assert_eq!(ports.count(), 0);
    }
}
