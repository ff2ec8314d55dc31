//! Processes to be killed.

use std::{
    io::{PipeReader, PipeWriter, Read as _, Write as _, pipe},
    panic::{AssertUnwindSafe, catch_unwind},
};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, fork},
};

/// A process of ours, killed at the latest when dropped.
pub(crate) struct Child {
    pid: Pid,
    ready: PipeReader,
}

/// By which the child says how far it is.
pub(crate) struct Ready(PipeWriter);

// === impl Ready ===

impl Ready {
    pub(crate) fn tell(&self) {
        (&self.0).write_all(b".").unwrap();
    }
}

// === impl Child ===

impl Child {
    /// Runs a function in a child process, which ends with it.
    pub(crate) fn run(function: impl FnOnce(Ready)) -> Self {
        let (ready, tell) = pipe().unwrap();
        // SAFETY: the child uses memory, files and bpf(2), none of which another thread of
        // this process can have left in an unusable state: glibc sees to its allocator's
        // locks, and the other threads are servers that wait in the kernel.
        match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => Self { pid: child, ready },
            ForkResult::Child => {
                drop(ready);
                // The parent sees the end of the pipe; the message is on standard error.
                let _ = catch_unwind(AssertUnwindSafe(|| function(Ready(tell))));
                // Not a return: the parent's test goes on there.
                std::process::abort();
            }
        }
    }

    /// Waits until the child has told.
    pub(crate) fn wait_ready(&self) {
        (&self.ready).read_exact(&mut [0]).unwrap();
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid, signal).unwrap();
    }

    /// SIGSTOP, and it runs no more when this returns.
    pub(crate) fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        let status = waitpid(self.pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert!(matches!(status, WaitStatus::Stopped(..)), "{status:?}");
    }

    /// SIGKILL, and gone when this returns.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is to be waited for.
        let _ = kill(self.pid, Signal::SIGKILL);
        waitpid(self.pid, None).unwrap();
    }
}
