//! Being attached to a container's streams.
//!
//! The container's helper, who has the other ends of the streams, listens on the Unix socket
//! `io` in the checkpoint (`SOCK_SEQPACKET`). A message is one byte that says what it is, and
//! the rest: `o` and `e` bring what was written to standard output and error; `d` takes data to
//! standard input, `w` a window size (rows and columns, two bytes each, little-endian), `x` the
//! end of standard input.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::Error;
use crate::error::At as _;
use crate::readiness::register;

/// The socket's name.
pub(crate) const SOCKET: &str = "io";
/// The longest piece of a stream in one message.
pub(crate) const PIECE: usize = 16 << 10;
/// What the first byte of a message says.
pub(crate) const OUTPUT: u8 = b'o';
pub(crate) const ERRORS: u8 = b'e';
pub(crate) const DATA: u8 = b'd';
pub(crate) const SIZE: u8 = b'w';
pub(crate) const END: u8 = b'x';

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// Something for a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Its next standard input.
    Data(Vec<u8>),
    /// Its terminal has this size from now on. Nothing happens without a terminal.
    WindowSize(WindowSize),
    /// There is no more standard input. On a terminal that is a Ctrl-D.
    End,
}

/// A standard stream that is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or the terminal.
    Output,
    /// Standard error.
    Errors,
}

/// Something from a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Where it was written to.
    pub stream: Stream,
    /// What was written.
    pub data: Vec<u8>,
}

/// A connection to a container's streams: it brings what is written from its beginning on.
/// Several may be open at once. Who does not read and is a megabyte behind loses it.
#[derive(Debug)]
pub struct Attachment {
    socket: AsyncFd<OwnedFd>,
}

impl Attachment {
    /// Connects to the helper that listens in the checkpoint `directory`. Within a runtime.
    pub(crate) fn connect(id: &str, directory: &Path) -> Result<Self, Error> {
        let path = directory.join(SOCKET);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .at("socket", &path)?;
        let (address, _directory) = address(directory).at("open", directory)?;
        match connect(&socket, &address) {
            Err(Errno::NOENT) => return Err(Error::NotAttachable { id: id.to_owned() }),
            Err(Errno::CONNREFUSED) => return Err(Error::NotRunning { id: id.to_owned() }),
            connected => connected.at("connect", &path)?,
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        Ok(Self { socket: register(socket, interest).at("epoll", &path)? })
    }

    /// What is written next; `None` when the container has ended. May be cancelled.
    ///
    /// # Errors
    /// A failed system call.
    pub async fn output(&self) -> io::Result<Option<Output>> {
        let mut message = vec![0; PIECE + 1];
        loop {
            let mut ready = self.socket.readable().await?;
            let received = ready.try_io(|socket| {
                Ok(recv(socket.get_ref(), &mut message[..], RecvFlags::empty())?.0)
            });
            let Ok(received) = received else { continue };
            let length = match received {
                Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => 0,
                received => received?,
            };
            message.truncate(length);
            let stream = match message.first() {
                None => return Ok(None),
                Some(&OUTPUT) => Stream::Output,
                Some(&ERRORS) => Stream::Errors,
                Some(_) => return Err(io::Error::from(io::ErrorKind::InvalidData)),
            };
            return Ok(Some(Output { stream, data: message.split_off(1) }));
        }
    }

    /// Gives the container something; waits while it does not take it.
    ///
    /// # Errors
    /// A failed system call: `EPIPE` when the container has ended.
    pub async fn input(&self, input: &Input) -> io::Result<()> {
        match input {
            Input::Data(data) => {
                for piece in data.chunks(PIECE) {
                    self.send(DATA, piece).await?;
                }
                Ok(())
            }
            Input::WindowSize(WindowSize { rows, columns }) => {
                let size = [rows.to_le_bytes(), columns.to_le_bytes()].concat();
                self.send(SIZE, &size).await
            }
            Input::End => self.send(END, &[]).await,
        }
    }

    async fn send(&self, kind: u8, rest: &[u8]) -> io::Result<()> {
        let message = [&[kind], rest].concat();
        loop {
            let mut ready = self.socket.writable().await?;
            let sent =
                ready.try_io(|socket| Ok(send(socket.get_ref(), &message, SendFlags::NOSIGNAL)?));
            if let Ok(sent) = sent {
                return sent.map(drop);
            }
        }
    }
}

/// The socket's address, by an open descriptor of its directory, to be kept meanwhile: an
/// address has room for 107 bytes only.
pub(crate) fn address(directory: &Path) -> rustix::io::Result<(SocketAddrUnix, OwnedFd)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, directory, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
    Ok((SocketAddrUnix::new(path)?, directory))
}
