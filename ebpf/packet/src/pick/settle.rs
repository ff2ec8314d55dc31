//! Which backend a client keeps: by a hash value, past those that are down.

use core::hint::black_box;

use crate::{Choice, Tier, Vip, choose, maglev};

use super::{Pool, is_test};

/// How many hash values are tried, each made from the one before.
const TRIES: u32 = 3;

/// What a hash value came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The backend in this slot.
    Up(u32),
    /// All that were tried are down; the first of them, or any, is in this slot. Others are to be asked: see
    /// [`rescue`](super::rescue).
    Down(u32),
}

/// The index of the backend that a hash value means, whether it works or not: by the VIP's Maglev table,
/// of which `named` says whom a slot names, or, if it has none, by even shares. `None` if the VIP is
/// to be looked up again.
#[inline(always)]
pub fn place(vip: &Vip, hash: u64, named: impl Fn(u32) -> Option<u32>) -> Option<u32> {
    if vip.slots == 0 {
        return Some(choose((hash >> 32) as u32, vip.backends).index);
    }
    named(maglev::slot(hash, vip.slots))
}

/// The backend of a VIP that a hash value means. One that is down is passed over for the one of
/// another hash value, made from this: the clients of a backend that fails are spread over all
/// others, the same way each time. One whose slot is not below [`Vip::backends`] is passed over too: the Maglev table may
/// name more than are to be chosen among.
///
/// `None` if the VIP is to be looked up again.
#[inline(always)]
pub fn settle<'a>(
    pool: &impl Pool<'a>,
    vip: &Vip,
    mut hash: u64,
    named: impl Fn(u32) -> Option<u32>,
) -> Option<Settled> {
    let first = place(vip, hash, &named)?;
    let mut index = first;
    for _ in 0..black_box(TRIES) {
        let target = pool.slot(Choice::own(index))?;
        if index < vip.backends {
            let load = pool.load(&target);
            if load.tier == Tier::Up || is_test(pool, &target, &load) {
                return Some(Settled::Up(index));
            }
        }
        hash = maglev::hash(hash, []);
        index = place(vip, hash, &named)?;
    }
    let is_one = first < vip.backends;
    Some(Settled::Down(if is_one {
        first
    } else {
        choose((hash >> 32) as u32, vip.backends).index
    }))
}
