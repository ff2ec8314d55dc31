//! The measuring itself.

use crate::{
    Failure,
    bed::Bed,
    cases::{Case, REPEAT},
    program::Program,
};

/// What a packet of a case took in one round, and what a transmitted one took just before and just after: ns.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) own: f64,
    pub(crate) transmit: f64,
}

/// What was measured.
pub(crate) struct Taken {
    /// By case, then by round.
    pub(crate) cases: Vec<Vec<Pair>>,
    /// Of the program that drops.
    pub(crate) discard: Vec<Pair>,
}

/// Measures each case once in a round, beginning with another each time.
pub(crate) fn measure(bed: &Bed, cases: &mut [Case<'_>], rounds: usize) -> Result<Taken, Failure> {
    let mut taken = Taken { cases: vec![Vec::new(); cases.len()], discard: Vec::new() };
    let blank = vec![0; 64];
    let repeated = |program: &Program| Ok::<_, Failure>(program.run(&blank, REPEAT)?.ns);
    for round in 0..rounds {
        let mut before = repeated(&bed.transmit)?;
        let discard = repeated(&bed.discard)?;
        let mut pair = |own| {
            let after = repeated(&bed.transmit)?;
            let transmit = f64::midpoint(before, after);
            before = after;
            Ok::<_, Failure>(Pair { own, transmit })
        };
        taken.discard.push(pair(discard)?);
        for turn in 0..cases.len() {
            let index = (turn + round) % cases.len();
            let own = once(bed, &mut cases[index], discard)?;
            taken.cases[index].push(pair(own)?);
        }
    }
    Ok(taken)
}

/// The ns that a packet of the case takes; an error if it is not handled as it should be.
fn once(bed: &Bed, case: &mut Case<'_>, discard: f64) -> Result<f64, Failure> {
    let count = || case.counted.map_or(Ok(0), |counted| bed.counted(counted));
    let before = count()?;
    let (packets, repeat) = case.packets.next();
    let mut ns = 0.0;
    for packet in &packets {
        let run = case.program.run(packet, repeat)?;
        ns += run.ns;
        if repeat == 1 {
            ns += discard - bed.discard.run(packet, 1)?.ns;
        }
        if case.counted.is_none() && run.packet != *packet {
            return Err(format!("{}: the packet was changed", case.name).into());
        }
    }
    let runs = packets.len() as u64 * u64::from(repeat);
    if let Some(counted) = case.counted
        && count()? - before != runs
    {
        let counts = count()? - before;
        return Err(format!("{}: of {runs} packets {counts} are {counted}", case.name).into());
    }
    #[expect(clippy::cast_precision_loss, reason = "a few packets")]
    Ok(ns / packets.len() as f64)
}
