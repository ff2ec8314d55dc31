//! What a container may do with block devices.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A block or character device by its numbers: `8:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceNumber {
    /// The driver's.
    pub major: u32,
    /// The device's.
    pub minor: u32,
}

/// Shares and limits of reads and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockIo {
    /// The share among containers, 1 to 1000; `None` leaves the kernel's, 100. For devices
    /// with a scheduler that shares, which is BFQ.
    pub weight: Option<u16>,
    /// Limits, each of one device.
    pub throttles: Vec<Throttle>,
}

/// Limits of one device. `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// The whole device, not a partition.
    pub device: DeviceNumber,
    /// Bytes read in a second.
    pub read_bytes: Option<u64>,
    /// Bytes written in a second.
    pub write_bytes: Option<u64>,
    /// Reads in a second.
    pub read_operations: Option<u64>,
    /// Writes in a second.
    pub write_operations: Option<u64>,
}

/// What was read and written on one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceIo {
    /// The device.
    pub device: DeviceNumber,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Bytes discarded.
    pub discarded_bytes: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Discards.
    pub discards: u64,
}

impl DeviceIo {
    /// Nothing so far.
    pub(crate) fn none(device: DeviceNumber) -> Self {
        let (read_bytes, write_bytes, discarded_bytes) = (0, 0, 0);
        let (reads, writes, discards) = (0, 0, 0);
        Self { device, read_bytes, write_bytes, discarded_bytes, reads, writes, discards }
    }
}

impl BlockIo {
    /// Checks the numbers.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::Spec { field: "block_io", reason });
        if let Some(weight) = self.weight
            && !(1..=1000).contains(&weight)
        {
            return refuse(format!("the weight {weight} is not from 1 to 1000"));
        }
        for limit in &self.throttles {
            let limits = [
                limit.read_bytes,
                limit.write_bytes,
                limit.read_operations,
                limit.write_operations,
            ];
            if limits.contains(&Some(0)) {
                return refuse(format!("0 is no limit of {}", limit.device));
            }
        }
        Ok(())
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl FromStr for DeviceNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse().ok();
        let numbers = text
            .split_once(':')
            .and_then(|(major, minor)| Some(Self { major: number(major)?, minor: number(minor)? }));
        numbers.ok_or_else(|| format!("`{text}` is no device, as in 8:0"))
    }
}

/// `8:0 rbps=1048576 wiops=100`: as in v2's `io.max`.
impl FromStr for Throttle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_ascii_whitespace();
        let device = words.next().unwrap_or_default().parse()?;
        let mut throttle = Self {
            device,
            read_bytes: None,
            write_bytes: None,
            read_operations: None,
            write_operations: None,
        };
        for word in words {
            let wrong = || format!("`{word}` is no limit, as in rbps=1048576");
            let (name, value) = word.split_once('=').ok_or_else(wrong)?;
            let slot = match name {
                "rbps" => &mut throttle.read_bytes,
                "wbps" => &mut throttle.write_bytes,
                "riops" => &mut throttle.read_operations,
                "wiops" => &mut throttle.write_operations,
                _ => return Err(wrong()),
            };
            *slot = Some(value.parse().ok().filter(|value| *value > 0).ok_or_else(wrong)?);
        }
        Ok(throttle)
    }
}

/// The form that it is read from.
impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.device)?;
        for (name, value) in [
            ("rbps", self.read_bytes),
            ("wbps", self.write_bytes),
            ("riops", self.read_operations),
            ("wiops", self.write_operations),
        ] {
            if let Some(value) = value {
                write!(f, " {name}={value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_as_text() {
        let text = "8:16 rbps=1048576 wiops=100";
        let throttle: Throttle = text.parse().unwrap();
        assert_eq!(throttle.device, DeviceNumber { major: 8, minor: 16 });
        assert_eq!((throttle.read_bytes, throttle.write_bytes), (Some(1 << 20), None));
        assert_eq!((throttle.read_operations, throttle.write_operations), (None, Some(100)));
        assert_eq!(throttle.to_string(), text);
        for wrong in ["", "8", "8:x", "8:0 rbps", "8:0 rbps=x", "8:0 rbps=0", "8:0 bps=1"] {
            assert!(wrong.parse::<Throttle>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let with = |weight| BlockIo { weight: Some(weight), throttles: Vec::new() };
        assert!(with(1).validate().is_ok() && with(1000).validate().is_ok());
        assert!(with(0).validate().is_err() && with(1001).validate().is_err());
        let throttle = Throttle { read_bytes: Some(0), .."8:0".parse().unwrap() };
        let block_io = BlockIo { weight: None, throttles: vec![throttle] };
        let error = block_io.validate().unwrap_err().to_string();
        assert_eq!(error, "block_io: 0 is no limit of 8:0");
    }
}
