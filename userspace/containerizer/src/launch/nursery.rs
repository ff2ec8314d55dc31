//! Where helpers come from: a process that has started already and forks for each of them,
//! one ahead: the next one waits for its request.
//!
//! A new process of this program costs far more than a fork: it is mapped, relocated and
//! initialised, and what that writes is memory of its own for as long as it lives. So the
//! containerizer starts one, and asks it for the others. They are the containerizer's children
//! (`CLONE_PARENT`), just as if it had started them itself.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, pidfd_open};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use serde::{Deserialize, Serialize};

use super::system::{self, Forked, SingleThreaded};
use crate::SetupError;
use crate::error::Step as _;

/// A request's descriptors: a helper's standard input, output and error.
pub(crate) const STREAMS: usize = 3;
/// The longest answer.
const ANSWER_MAX: usize = 1 << 10;

/// What comes of a request. The descriptor of the process comes with its number.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// This helper.
    Helper(u32),
    /// None, for this reason.
    Failed(SetupError),
    /// Never one again. This one was ahead, and has ended: it is to be collected.
    Last(u32),
}

/// Answers requests on standard input, a socket, until the containerizer closes it, and then
/// says which process is left to be collected. Returns true in every helper, with its streams
/// in place, and false in the nursery at its end.
pub(super) fn serve(alone: SingleThreaded) -> Result<bool, SetupError> {
    let socket = rustix::stdio::stdin();
    loop {
        let (taken, take) = pipe_with(PipeFlags::CLOEXEC).step(|| "pipe".into())?;
        match system::fork_sibling(alone) {
            Ok(Forked::Child) => {
                drop(taken);
                return await_request(socket, &take);
            }
            Ok(Forked::Parent { pid, pidfd }) => {
                drop(take);
                if rustix::io::retry_on_intr(|| rustix::io::read(&taken, &mut [0]))
                    .step(|| "wait for the next helper".into())?
                    == 0
                {
                    // The containerizer has ended too, or has nothing against starting another
                    // nursery.
                    let _ = answer(socket, &Answer::Last(pid), Some(&pidfd));
                    return Ok(false);
                }
            }
            Err(error) => {
                if receive(socket)?.is_none() {
                    return Ok(false);
                }
                let error = SetupError {
                    step: "clone3".into(),
                    reason: error.to_string(),
                    errno: error.raw_os_error(),
                };
                answer(socket, &Answer::Failed(error), None)?;
            }
        }
    }
}

/// Waits for a request, and becomes the helper that is its answer. Returns false if there will
/// be none.
fn await_request(socket: BorrowedFd<'_>, take: &OwnedFd) -> Result<bool, SetupError> {
    rustix::thread::set_name(c"muster-spare").step(|| "prctl".into())?;
    let own = rustix::process::getpid();
    let pidfd = pidfd_open(own, PidfdFlags::empty()).step(|| "pidfd_open".into())?;
    let pid = own.as_raw_nonzero().get().unsigned_abs();
    let Some([input, output, errors]) = receive(socket)? else { return Ok(false) };
    answer(socket, &Answer::Helper(pid), Some(&pidfd))?;
    // Without a nursery the containerizer starts another one when it wants the next.
    let _ = rustix::io::write(take, b"t");
    dup2_stdin(&input).step(|| "dup stdin".into())?;
    dup2_stdout(&output).step(|| "dup stdout".into())?;
    dup2_stderr(&errors).step(|| "dup stderr".into())?;
    Ok(true)
}

/// The streams of the next helper; `None` when there will be none.
fn receive(socket: BorrowedFd<'_>) -> Result<Option<[OwnedFd; STREAMS]>, SetupError> {
    let (length, descriptors) =
        receive_descriptors(socket, &mut [0]).step(|| "recvmsg a request".into())?;
    if length == 0 {
        return Ok(None);
    }
    let wrong = |found: Vec<OwnedFd>| {
        SetupError::new("recvmsg a request", format!("{} descriptors", found.len()))
    };
    descriptors.try_into().map(Some).map_err(wrong)
}

fn answer(
    socket: BorrowedFd<'_>,
    answer: &Answer,
    pidfd: Option<&OwnedFd>,
) -> Result<(), SetupError> {
    let text = serde_json::to_vec(answer);
    let text = text.map_err(|error| SetupError::new("encode an answer", error.to_string()))?;
    let descriptors: Vec<BorrowedFd<'_>> = pidfd.iter().map(|pidfd| pidfd.as_fd()).collect();
    send_descriptors(socket, &text, &descriptors).step(|| "sendmsg an answer".into())
}

/// Asks for a helper with these streams.
pub(crate) fn request(
    socket: BorrowedFd<'_>,
    streams: [BorrowedFd<'_>; STREAMS],
) -> rustix::io::Result<()> {
    send_descriptors(socket, b"h", &streams)
}

/// The answer to a request; `None` when the nursery has ended.
pub(crate) fn answered(
    socket: BorrowedFd<'_>,
) -> Result<Option<(Answer, Option<OwnedFd>)>, SetupError> {
    let mut text = [0; ANSWER_MAX];
    let (length, descriptors) = match receive_descriptors(socket, &mut text) {
        Err(Errno::CONNRESET) => return Ok(None),
        received => received.step(|| "recvmsg an answer".into())?,
    };
    if length == 0 {
        return Ok(None);
    }
    let answer = serde_json::from_slice(&text[..length]);
    let answer = answer.map_err(|error| SetupError::new("read an answer", error.to_string()))?;
    Ok(Some((answer, descriptors.into_iter().next())))
}

/// Sends one message with `descriptors` (unix(7), `SCM_RIGHTS`).
pub(super) fn send_descriptors(
    socket: BorrowedFd<'_>,
    text: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(STREAMS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::MSGSIZE);
    }
    // Who asked may be gone, which is no reason to die by a signal.
    let flags = SendFlags::NOSIGNAL;
    let text = [IoSlice::new(text)];
    rustix::io::retry_on_intr(|| sendmsg(socket, &text, &mut ancillary, flags)).map(drop)
}

/// Receives one message and its descriptors, which exec closes.
pub(super) fn receive_descriptors(
    socket: BorrowedFd<'_>,
    text: &mut [u8],
) -> rustix::io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(STREAMS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut text = [IoSliceMut::new(text)];
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut text, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    let messages = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok((received.bytes, messages.flatten().collect()))
}
