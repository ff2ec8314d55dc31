//! Value of the map `maglev`: a part of a Maglev table.

use core::hint::black_box;

use crate::{Slot, layout::map_type};

/// Slots in a page: with what the kernel adds to an entry of a hash map, a page takes just 2 KiB.
pub const PAGE_SLOTS: u32 = 968;

/// Most pages, of the tables of all VIPs: 17 for a VIP of up to 163 backends, which is 34 KiB.
pub const MAX_PAGES: usize = 262_144;

map_type! {
    /// A part of a Maglev table. Its key is a [`Slot`]: the number that the table shares with the VIP's
    /// backends in the map `backends`, and which part it is.
    pub struct MaglevPage {
        /// For each slot the index of its backend: the second half of the key of a
        /// [`Backend`](crate::Backend).
        pub backends: [u16; PAGE_SLOTS as usize],
    }
}

/// Where a slot of a table is: its page, and the place in it.
#[inline(always)]
pub const fn place(table: u32, slot: u32) -> (Slot, u32) {
    (Slot { table, index: slot / PAGE_SLOTS }, slot % PAGE_SLOTS)
}

impl MaglevPage {
    /// The backend of a slot, by its place in the page.
    #[inline(always)]
    pub fn backend(&self, place: u32) -> Option<u32> {
        // The verifier does not know what a remainder is below.
        self.backends.get(black_box(place) as usize).map(|&index| u32::from(index))
    }

    /// The pages of a whole table, in order.
    #[cfg(any(test, feature = "user"))]
    pub fn pages(slots: &[u16]) -> impl Iterator<Item = Self> {
        slots.chunks(PAGE_SLOTS as usize).map(|part| {
            let mut page = Self { backends: [0; PAGE_SLOTS as usize] };
            for (place, backend) in page.backends.iter_mut().zip(part) {
                *place = *backend;
            }
            page
        })
    }
}

/// How many pages a table of so many slots has.
pub const fn pages(slots: u32) -> u32 {
    slots.div_ceil(PAGE_SLOTS)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use crate::{Endpoint, TCP, maglev};

    #[test]
    fn every_slot_is_found_at_its_place() {
        let backends: Vec<_> =
            (1u16..200).map(|port| (Endpoint::v4([10, 0, 0, 1], port, TCP), 1)).collect();
        let table = maglev::build(&backends);
        let size = u32::try_from(table.len()).unwrap();
        let all: Vec<_> = MaglevPage::pages(&table).collect();
        assert_eq!(all.len(), pages(size) as usize);
        for (slot, backend) in (0..size).zip(table) {
            let (key, place) = place(7, slot);
            assert_eq!(key.table, 7);
            let page = &all[key.index as usize];
            assert_eq!(page.backend(place), Some(u32::from(backend)));
        }
        assert_eq!(all[0].backend(PAGE_SLOTS), None);
    }
}
