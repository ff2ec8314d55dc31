//! What becomes of connections, written to their backends' counters.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use muster_packet::{BREAKER_FAILURES, Handshakes, Latency, Target, ticks};

use crate::{atomic, balance::counters, maps::HANDSHAKES};

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

/// Counts an event of a backend.
#[inline(always)]
pub fn count(target: &Target<'_>, event: Event) {
    let Some(counters) = counters(target) else { return };
    let add = |field: *mut u64, value: u64| {
        // SAFETY: a field of a live map value, aligned to 8, that programs change only
        // atomically. Counters are given to another backend only when theirs is in no table
        // and nothing is pending.
        unsafe { atomic::add(field, value) };
    };
    let store = |field: *mut u64, value: u64| {
        // SAFETY: as above; a plain store is one instruction on an aligned u64.
        unsafe { field.write_volatile(value) };
    };
    // SAFETY: `counters` points to a live map value; only addresses are taken.
    let (started, successes, failures, row, last, latency) = unsafe {
        (
            &raw mut (*counters).started,
            &raw mut (*counters).successes,
            &raw mut (*counters).failures,
            &raw mut (*counters).consecutive_failures,
            &raw mut (*counters).last_failure_ns,
            (&raw mut (*counters).latency).cast::<u64>(),
        )
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
        if let Some(handshakes) = HANDSHAKES.get_ptr_mut(target.counter) {
            // SAFETY: a live map value, and a bucket is below their number.
            let (bucket, sum) = unsafe {
                let first = (&raw mut (*handshakes).latency).cast::<u64>();
                (first.add(Handshakes::bucket(took) as usize), &raw mut (*handshakes).sum)
            };
            add(bucket, 1);
            add(sum, u64::from(took));
        }
    };
    match event {
        Event::Started => add(started, 1),
        Event::Completed { since, successes: more } => {
            add(successes, more);
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
                Event::Failed { refused, timeouts } => (refused, timeouts),
                _ => {
                    add(started, 1);
                    (1, 0)
                }
            };
            add(failures, 1);
            add(row, 1);
            // SAFETY: takes no arguments.
            store(last, unsafe { bpf_ktime_get_ns() });
            if let Some(handshakes) = HANDSHAKES.get_ptr_mut(target.counter) {
                // SAFETY: a live map value; only addresses are taken.
                let (of_refused, of_timeouts) =
                    unsafe { (&raw mut (*handshakes).refused, &raw mut (*handshakes).timeouts) };
                add(of_refused, refused);
                add(of_timeouts, timeouts);
            }
        }
        Event::SentAgain { segments } => {
            if let Some(handshakes) = HANDSHAKES.get_ptr_mut(target.counter) {
                // SAFETY: a live map value; only the address is taken.
                add(unsafe { &raw mut (*handshakes).retransmits }, segments);
            }
        }
        Event::Ended { rtt, resets: of_resets, expired: of_expired } => {
            if let Some(handshakes) = HANDSHAKES.get_ptr_mut(target.counter) {
                // SAFETY: a live map value; only addresses are taken.
                let (ended, sum, resets, expired) = unsafe {
                    (
                        &raw mut (*handshakes).ended,
                        &raw mut (*handshakes).rtt_sum,
                        &raw mut (*handshakes).resets,
                        &raw mut (*handshakes).expired,
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
}
