//! Erlang's portable hash of a binary, `erlang:phash2/2`: minuteman derives a VIP's
//! address from it, so clusters that know their VIPs by address keep them.
//!
//! It is Bob Jenkins' 1996 hash ("lookup2") with Erlang's constants.

/// The golden ratio's fraction in 32 bits.
const RATIO: u32 = 0x9e37_79b9;
/// What Erlang begins the hash of a binary with: 13 times [`RATIO`].
const BINARY: u32 = RATIO.wrapping_mul(13);

/// `erlang:phash2(<<data>>, range)`.
///
/// `range` must not be 0.
pub(super) fn phash2(data: &[u8], range: u32) -> u32 {
    // An empty binary is not hashed at all.
    let hash = if data.is_empty() { BINARY } else { block(data, BINARY) };
    hash % range
}

fn block(data: &[u8], initial: u32) -> u32 {
    let mut state = [RATIO, RATIO, initial];
    let (chunks, tail) = data.as_chunks::<12>();
    for chunk in chunks {
        add(&mut state, chunk);
        mix(&mut state);
    }
    // The length takes the lowest byte of the last word, so its bytes start one higher.
    let mut last = [0; 12];
    let (low, high) = tail.split_at(tail.len().min(8));
    last[..low.len()].copy_from_slice(low);
    last[9..9 + high.len()].copy_from_slice(high);
    add(&mut state, &last);
    #[expect(clippy::cast_possible_truncation, reason = "the length counts modulo 2^32")]
    let length = data.len() as u32;
    state[2] = state[2].wrapping_add(length);
    mix(&mut state);
    state[2]
}

fn add(state: &mut [u32; 3], bytes: &[u8; 12]) {
    for (word, bytes) in state.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = word.wrapping_add(u32::from_le_bytes(*bytes));
    }
}

fn mix([a, b, c]: &mut [u32; 3]) {
    for (down, left, right) in [(13, 8, 13), (12, 16, 5), (3, 10, 15)] {
        *a = a.wrapping_sub(*b).wrapping_sub(*c) ^ (*c >> down);
        *b = b.wrapping_sub(*c).wrapping_sub(*a) ^ (*a << left);
        *c = c.wrapping_sub(*a).wrapping_sub(*b) ^ (*b >> right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by `erlang:phash2(<<"…">>, 16#FFFFFE)` of Erlang/OTP 25.
    #[test]
    fn equals_erlangs() {
        for (text, hash) in [
            ("", 13_708_917),
            ("a", 12_139_339),
            ("nginx.marathon", 8_337_233),
            ("elevenbytes", 7_098_610),
            ("twelve bytes", 9_473_666),
            ("groupapp.marathon", 6_679_679),
            ("broker.kafka", 11_494_565),
            ("a-much-longer-name-than-twelve-bytes.marathon", 12_393_950),
        ] {
            assert_eq!(phash2(text.as_bytes(), 0x00ff_fffe), hash, "{text}");
        }
    }
}
