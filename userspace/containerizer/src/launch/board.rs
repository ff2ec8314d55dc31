//! The other ends of a container's streams: what it writes goes to its logs and to all who are
//! attached, and what those send to its standard input.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{Errno, read, write};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept_with, bind, listen, recv,
    send, socket_with,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};

use super::init;
use super::plan::{Io, Plan};
use super::streams::{Ends, Logs};
use super::terminal;
use crate::attachment::{self, DATA, END, ERRORS, OUTPUT, PIECE, SIZE};
use crate::error::Step as _;
use crate::{Log, Logger, SetupError, WindowSize};

/// How far behind an attached one may be, in bytes.
const BEHIND_MAX: usize = 1 << 20;
/// How much input may wait for the container to take it, in bytes.
const INPUT_MAX: usize = 64 << 10;
/// How many may wait to be attached at once.
const BACKLOG: i32 = 16;
/// How long attached ones are waited for when the container has ended, and if it is paced.
const FAREWELL: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
const PACED_FAREWELL: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
/// Ctrl-D.
const END_OF_TEXT: u8 = 4;

/// All that is served.
pub(super) struct Board {
    listener: OwnedFd,
    sources: Vec<Source>,
    /// Where standard input is written; `None` after its end.
    input: Option<OwnedFd>,
    pending: VecDeque<u8>,
    /// Whether no more comes than is pending.
    ending: bool,
    terminal: Option<Terminal>,
    clients: Vec<Client>,
    /// Whether the container waits for those who are attached, instead of losing them.
    paced: bool,
    /// Whether the container has ended.
    ended: bool,
}

struct Source {
    from: OwnedFd,
    log: Target,
    kind: u8,
}

/// A log.
enum Target {
    File(File),
    Rotated(Log),
}

struct Terminal {
    master: OwnedFd,
    /// Kept open, so that the terminal does not hang up while nobody in the container has it.
    _peer: OwnedFd,
}

struct Client {
    socket: OwnedFd,
    queue: VecDeque<Vec<u8>>,
    behind: usize,
}

impl Board {
    /// Listens in the container's checkpoint, and makes the streams: the ends here and those
    /// for the container.
    pub(super) fn new(plan: &Plan, io: Io, logs: &Logs) -> Result<(Self, Ends), SetupError> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .step(|| "socket".into())?;
        let at = || format!("listen in {}", plan.checkpoint.display());
        let (address, _directory) = attachment::address(&plan.checkpoint).step(at)?;
        bind(&listener, &address).step(at)?;
        listen(&listener, BACKLOG).step(at)?;
        let mut board = Self {
            listener,
            sources: Vec::new(),
            input: None,
            pending: VecDeque::new(),
            ending: false,
            terminal: None,
            clients: Vec::new(),
            paced: io.paced,
            ended: false,
        };
        if let Some(size) = io.tty {
            let (here, there) = terminal::channel()?;
            // What it is comes when the container has it.
            board.input = Some(here);
            return Ok((board, Ends::Terminal { size, channel: there }));
        }
        let pipe = || pipe_with(PipeFlags::CLOEXEC).step(|| "pipe".into());
        let ((input, own_input), (own_output, output), (own_errors, errors)) =
            (pipe()?, pipe()?, pipe()?);
        for end in [&own_input, &own_output, &own_errors] {
            fcntl_setfl(end, OFlags::NONBLOCK).step(|| "fcntl".into())?;
        }
        let [output_log, errors_log] = Target::open(plan, logs)?;
        board.sources = vec![
            Source { from: own_output, log: output_log, kind: OUTPUT },
            Source { from: own_errors, log: errors_log, kind: ERRORS },
        ];
        board.input = Some(own_input);
        Ok((board, Ends::Pipes { input, output, errors }))
    }

    /// Waits until somebody is attached, or `lifeline`, a pipe or socket, hangs up.
    pub(super) fn await_first(&mut self, lifeline: impl AsFd) -> Result<(), SetupError> {
        loop {
            self.accept();
            if !self.clients.is_empty() {
                return Ok(());
            }
            let mut fds = [
                PollFd::new(&self.listener, PollFlags::IN),
                PollFd::new(&lifeline, PollFlags::empty()),
            ];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).step(|| "poll for who attaches".into()),
            }
            if !fds[1].revents().is_empty() {
                return Err(SetupError::new("wait for who attaches", "the agent has died"));
            }
        }
    }

    /// Takes the terminal that the container has opened, if it was to have one, and makes what
    /// follows the logs its user's, as they are by now.
    pub(super) fn take_over(&mut self, plan: &Plan, io: Io, logs: &Logs) -> Result<(), SetupError> {
        if io.tty.is_none() {
            return self.sources.iter_mut().try_for_each(|source| source.log.give(logs));
        }
        let Some(channel) = self.input.take() else { return Ok(()) };
        let master = terminal::receive(&channel)?;
        let [mut log, _] = Target::open(plan, logs)?;
        log.give(logs)?;
        let dup = || master.try_clone().step(|| "dup".into());
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let peer = ioctl_tiocgptpeer(&master, flags).step(|| "open the terminal".into())?;
        self.sources = vec![Source { from: dup()?, log, kind: OUTPUT }];
        self.input = Some(dup()?);
        self.terminal = Some(Terminal { master, _peer: peer });
        Ok(())
    }

    /// What to wait for.
    pub(super) fn fds(&self) -> Vec<PollFd<'_>> {
        let mut fds = vec![PollFd::new(&self.listener, PollFlags::IN)];
        if !self.held() {
            fds.extend(self.sources.iter().map(|source| PollFd::new(&source.from, PollFlags::IN)));
        }
        if let Some(input) = self.input.as_ref().filter(|_| !self.pending.is_empty()) {
            fds.push(PollFd::new(input, PollFlags::OUT));
        }
        for client in &self.clients {
            let mut wanted = PollFlags::empty();
            wanted.set(PollFlags::IN, self.pending.len() < INPUT_MAX);
            wanted.set(PollFlags::OUT, !client.queue.is_empty());
            // Else it could report that it has hung up, and nobody would listen.
            if !wanted.is_empty() {
                fds.push(PollFd::new(&client.socket, wanted));
            }
        }
        fds
    }

    /// Does what can be done without waiting.
    pub(super) fn turn(&mut self) {
        self.accept();
        self.hear();
        self.feed();
        while !self.held() && self.spread() {}
        self.clients.retain_mut(|client| client.flush().is_ok());
    }

    /// Spreads what is left when the container has ended, and waits a while for those who are
    /// attached to take it.
    pub(super) fn finish(&mut self) {
        self.ended = true;
        self.turn();
        let farewell = if self.paced { PACED_FAREWELL } else { FAREWELL };
        let mut left = Some(farewell);
        while self.clients.iter().any(|client| !client.queue.is_empty())
            && let Some(timeout) = left.take()
        {
            let waiting = self.clients.iter().filter(|client| !client.queue.is_empty());
            let mut fds: Vec<_> =
                waiting.map(|client| PollFd::new(&client.socket, PollFlags::OUT)).collect();
            // As long as somebody reads it goes on.
            if poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0) {
                left = Some(farewell);
            }
            drop(fds);
            self.clients.retain_mut(|client| client.flush().is_ok());
        }
    }

    /// Whether what is written has to wait for somebody who does not read.
    fn held(&self) -> bool {
        let behind = |client: &Client| client.behind > BEHIND_MAX;
        self.paced && !self.ended && self.clients.iter().any(behind)
    }

    fn accept(&mut self) {
        // One that has gone away again is no loss, nor is any other that cannot be had.
        while let Ok(socket) =
            accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
        {
            self.clients.push(Client { socket, queue: VecDeque::new(), behind: 0 });
        }
    }

    /// Takes what attached ones send.
    fn hear(&mut self) {
        let mut clients = std::mem::take(&mut self.clients);
        let mut message = vec![0; PIECE + 1];
        clients.retain(|client| {
            while self.pending.len() < INPUT_MAX {
                match recv(&client.socket, &mut message[..], RecvFlags::empty()) {
                    Err(Errno::AGAIN | Errno::INTR) => return true,
                    Ok((length @ 1.., _)) if self.obey(&message[..length]) => {}
                    // It has gone away, or does not speak this language.
                    Ok(_) | Err(_) => return false,
                }
            }
            true
        });
        self.clients.append(&mut clients);
    }

    /// Whether `message` makes sense.
    fn obey(&mut self, message: &[u8]) -> bool {
        match message {
            [DATA, data @ ..] => {
                if !self.ending {
                    self.pending.extend(data);
                }
                true
            }
            [END] => {
                match self.terminal {
                    Some(_) => self.pending.push_back(END_OF_TEXT),
                    None => self.ending = true,
                }
                true
            }
            [SIZE, a, b, c, d] => {
                let number = |low, high| u16::from_le_bytes([low, high]);
                let size = WindowSize { rows: number(*a, *b), columns: number(*c, *d) };
                if let Some(terminal) = &self.terminal {
                    // A size that it does not take is none.
                    let _ = terminal::resize(&terminal.master, size);
                }
                true
            }
            _ => false,
        }
    }

    /// Writes to standard input what it takes.
    fn feed(&mut self) {
        while let Some(input) = &self.input {
            let (next, _) = self.pending.as_slices();
            if next.is_empty() {
                if self.ending {
                    self.input = None;
                }
                return;
            }
            match write(input, next) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // Nobody reads it any more.
                Err(_) => self.input = None,
            }
        }
        self.pending.clear();
    }

    /// Takes a piece of each source; whether there may be more.
    fn spread(&mut self) -> bool {
        let mut more = false;
        let (clients, limit) =
            (&mut self.clients, if self.paced { usize::MAX } else { BEHIND_MAX });
        self.sources.retain_mut(|source| {
            let mut message = vec![source.kind; PIECE + 1];
            match read(&source.from, &mut message[1..]) {
                Ok(length @ 1..) => {
                    message.truncate(length + 1);
                    source.log.write(&message[1..]);
                    clients.retain_mut(|client| client.give(&message, limit).is_ok());
                    more = true;
                    true
                }
                Err(Errno::AGAIN | Errno::INTR) => true,
                Ok(_) | Err(_) => false,
            }
        });
        more
    }
}

impl Target {
    /// Those for standard output and error.
    fn open(plan: &Plan, logs: &Logs) -> Result<[Self; 2], SetupError> {
        let Logger::Logrotate { stdout, stderr } = plan.logger else {
            let file = |log: &File| log.try_clone().map(Self::File).step(|| "dup".into());
            return Ok([file(&logs.output)?, file(&logs.errors)?]);
        };
        let rotated = |name, rotation| {
            let log = Log::open(init::sandbox(plan)?, name, rotation);
            log.map(Self::Rotated).step(|| format!("open {name}"))
        };
        Ok([rotated("stdout", stdout)?, rotated("stderr", stderr)?])
    }

    /// Makes it, and those to come, the user's that the logs are.
    fn give(&mut self, logs: &Logs) -> Result<(), SetupError> {
        match self {
            Self::File(_) => Ok(()),
            Self::Rotated(log) => log.give_as(&logs.output).step(|| "chown a log".into()),
        }
    }

    /// Writes what can be written: where the disk is full the log has a gap, and the container
    /// goes on.
    fn write(&mut self, mut bytes: &[u8]) {
        match self {
            Self::File(file) => drop(file.write_all(bytes)),
            Self::Rotated(log) => {
                while !bytes.is_empty() {
                    let (_, most) = log.room(bytes.len());
                    let (now, later) = bytes.split_at(most);
                    log.write(now);
                    bytes = later;
                }
            }
        }
    }
}

impl Client {
    /// Sends `message` after those that are queued. Who is more than `limit` bytes behind is lost.
    fn give(&mut self, message: &[u8], limit: usize) -> Result<(), Errno> {
        self.queue.push_back(message.to_vec());
        self.behind += message.len();
        self.flush()?;
        if self.behind > limit { Err(Errno::NOBUFS) } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Errno> {
        while let Some(message) = self.queue.front() {
            match send(&self.socket, message, SendFlags::NOSIGNAL) {
                Ok(_) => {
                    self.behind -= message.len();
                    self.queue.pop_front();
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
