//! A packet in user space.

extern crate std;

use std::vec::Vec;

use super::{Difference, Packet, Resize};

impl Packet for Vec<u8> {
    fn load8(&self, at: u32) -> Option<u8> {
        self.as_slice().load8(at)
    }

    fn load16(&self, at: u32) -> Option<u16> {
        self.as_slice().load16(at)
    }

    fn load32(&self, at: u32) -> Option<u32> {
        self.as_slice().load32(at)
    }

    fn load64(&self, at: u32) -> Option<u64> {
        self.as_slice().load64(at)
    }

    fn store16(&mut self, at: u32, value: u16) -> Option<()> {
        self.as_mut_slice().store16(at, value)
    }

    fn store32(&mut self, at: u32, value: u32) -> Option<()> {
        self.as_mut_slice().store32(at, value)
    }

    fn store64(&mut self, at: u32, value: u64) -> Option<()> {
        self.as_mut_slice().store64(at, value)
    }
}

impl Resize for Vec<u8> {
    fn length(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    fn cut(&mut self, length: u32) -> Option<()> {
        self.get(..length as usize)?;
        self.truncate(length as usize);
        Some(())
    }

    fn grow(&mut self, bytes: u32) -> Option<()> {
        self.splice(..0, core::iter::repeat_n(0, bytes as usize));
        Some(())
    }

    fn sum(&self, from: u32, length: u32) -> Option<Difference> {
        let (from, length) = (from as usize, length as usize);
        let pairs = self.get(from..from.checked_add(length)?)?.chunks(2);
        Some(pairs.fold(Difference::NONE, |sum, pair| {
            let [first, second] = [pair.first(), pair.get(1)].map(|b| b.copied().unwrap_or(0));
            sum.and(Difference::of16(u16::MAX, u16::from_ne_bytes([first, second])))
        }))
    }
}
