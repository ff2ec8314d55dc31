//! A program that is in the kernel, to be run on packets.

use aya::programs::{ProgramInfo, SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use aya_obj::programs::xdp::XdpAttachType;

use crate::Failure;

/// Programs of either kind.
pub(crate) enum Program {
    Xdp(Xdp),
    Tc(SchedClassifier),
}

/// What a run came to.
pub(crate) struct Run {
    /// The packet after it.
    pub(crate) packet: Vec<u8>,
    /// What one run took, on average.
    pub(crate) ns: f64,
}

// === impl Program ===

impl Program {
    /// A program that is loaded already, of XDP.
    pub(crate) fn xdp(info: ProgramInfo, name: &'static str) -> Result<Self, Failure> {
        Ok(Self::Xdp(Xdp::from_program_info(info, name.into(), XdpAttachType::Interface)?))
    }

    /// The same, of tc.
    pub(crate) fn tc(info: ProgramInfo, name: &'static str) -> Result<Self, Failure> {
        Ok(Self::Tc(SchedClassifier::from_program_info(info, name.into())?))
    }

    /// Runs it on a packet, so many times in a row.
    pub(crate) fn run(&self, packet: &[u8], repeat: u32) -> Result<Run, Failure> {
        let mut after = vec![0; packet.len() + 64];
        let options = TestRunOptions {
            data_in: Some(packet),
            data_out: Some(&mut after),
            repeat,
            ..TestRunOptions::new()
        };
        let result = match self {
            Self::Xdp(program) => program.test_run(options),
            Self::Tc(program) => program.test_run(options),
        }?;
        after.truncate(usize::try_from(result.data_size_out)?);
        let ns = result.duration.as_secs_f64() * 1e9;
        Ok(Run { packet: after, ns })
    }
}
