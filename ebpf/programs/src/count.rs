//! What becomes of connections, written to the counters of their VIP and backend.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use muster_packet::{BREAKER_FAILURES, Endpoint, Handshakes, Latency, Target, ticks};

use crate::{
    atomic,
    balance::{counters_at, read},
    maps::HANDSHAKES,
};

/// A connection's life, as it is counted.
#[derive(Clone, Copy)]
pub enum Event {
    /// A handshake begins.
    Started,
    /// It is complete.
    Completed {
        /// When it began, as [`ticks`] says it.
        since: u32,
        /// 1; 0 if it has been counted as failed before.
        successes: u64,
    },
    /// It never will be, or not in time.
    Failed {
        /// 1 if it was answered, by a reset or an ICMP error.
        refused: u64,
        /// 1 if it was not answered in time.
        timeouts: u64,
    },
    /// A datagram flow: begins and succeeds at once.
    Flow,
    /// A forwarded connection is answered, and so begins and succeeds at once: only then is it known not to
    /// be a sender's who is not there.
    Accepted,
    /// The same, but it fails.
    Refused,
    /// Segments of an established connection were sent again.
    SentAgain {
        /// How many.
        segments: u64,
    },
    /// An established connection ends.
    Ended {
        /// Its smoothed round trip time, in us.
        rtt: u64,
        /// 1 if the other side has given it up.
        resets: u64,
        /// 1 if the other side has not answered for so long that this one has.
        expired: u64,
    },
}

/// Counts an event of a VIP's backend. Nothing, if it is not the VIP's any more.
#[inline(always)]
pub fn count(vip: &Endpoint, target: &Target<'_>, event: Event) {
    let Some(shown) = HANDSHAKES.get_ptr_mut(target.counter) else { return };
    // SAFETY: a live map value. It may be read while user space gives it to another backend or VIP, and mixed up of
    // both is neither's.
    let (of, home) =
        unsafe { (read(&raw const (*shown).vip), (&raw const (*shown).home).read_volatile()) };
    if !of.is(vip) {
        return;
    }
    let Some(known) = counters_at(home, target.backend) else { return };
    let add = |field: *mut u64, value: u64| {
        // SAFETY: a field of a live map value, aligned to 8, that programs change only
        // atomically. A place is given to another backend or VIP only when its own is in no table
        // and nothing is pending.
        unsafe { atomic::add(field, value) };
    };
    let store = |field: *mut u64, value: u64| {
        // SAFETY: as above; a plain store is one instruction on an aligned u64.
        unsafe { field.write_volatile(value) };
    };
    // SAFETY: both point to live map values; only addresses are taken.
    let (pending, row, last, latency) = unsafe {
        (
            &raw mut (*known).pending,
            &raw mut (*known).consecutive_failures,
            &raw mut (*known).last_failure_ns,
            (&raw mut (*known).latency).cast::<u64>(),
        )
    };
    // SAFETY: as above.
    let (started, successes, failures) = unsafe {
        (&raw mut (*shown).started, &raw mut (*shown).successes, &raw mut (*shown).failures)
    };
    let learn = |since: u32| {
        // SAFETY: takes no arguments.
        let now_ns = unsafe { bpf_ktime_get_ns() };
        // SAFETY: as above, each read as one word. Of two that are learned at the same
        // moment one may be lost.
        let (known, failures) =
            unsafe { (Latency::from_bits(latency.read_volatile()), row.read_volatile()) };
        // What was known of a backend before it was down is not worth much.
        let known = if failures < u64::from(BREAKER_FAILURES) { known } else { Latency::default() };
        let took = ticks(now_ns).wrapping_sub(since);
        store(latency, known.after(took, now_ns).bits());
        store(row, 0);
        // SAFETY: a live map value, and a bucket is below their number.
        let (bucket, sum) = unsafe {
            let first = (&raw mut (*shown).latency).cast::<u64>();
            (first.add(Handshakes::bucket(took) as usize), &raw mut (*shown).sum)
        };
        add(bucket, 1);
        add(sum, u64::from(took));
    };
    match event {
        Event::Started => {
            add(started, 1);
            add(pending, 1);
        }
        Event::Completed { since, successes: more } => {
            add(successes, more);
            add(pending, more.wrapping_neg());
            learn(since);
        }
        Event::Flow => {
            add(started, 1);
            add(successes, 1);
        }
        Event::Accepted => {
            add(started, 1);
            add(successes, 1);
            store(row, 0);
        }
        Event::Failed { .. } | Event::Refused => {
            let (refused, timeouts) = match event {
                Event::Failed { refused, timeouts } => {
                    add(pending, 1_u64.wrapping_neg());
                    (refused, timeouts)
                }
                _ => {
                    add(started, 1);
                    (1, 0)
                }
            };
            add(failures, 1);
            add(row, 1);
            // SAFETY: takes no arguments.
            store(last, unsafe { bpf_ktime_get_ns() });
            // SAFETY: as above.
            let (of_refused, of_timeouts) =
                unsafe { (&raw mut (*shown).refused, &raw mut (*shown).timeouts) };
            add(of_refused, refused);
            add(of_timeouts, timeouts);
        }
        // SAFETY: as above.
        Event::SentAgain { segments } => add(unsafe { &raw mut (*shown).retransmits }, segments),
        Event::Ended { rtt, resets: of_resets, expired: of_expired } => {
            // SAFETY: as above.
            let (ended, sum, resets, expired) = unsafe {
                (
                    &raw mut (*shown).ended,
                    &raw mut (*shown).rtt_sum,
                    &raw mut (*shown).resets,
                    &raw mut (*shown).expired,
                )
            };
            add(ended, 1);
            add(sum, rtt);
            if of_resets != 0 {
                add(resets, of_resets);
            }
            if of_expired != 0 {
                add(expired, of_expired);
            }
        }
    }
}
