//! Servers to be backends: each answers with its own address.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
    },
};

use crate::machine::wait_until;

/// Longer than anything on loopback takes, also where a busy machine emulates each instruction; a
/// failure, not a measure.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A server, on 127.0.0.1 if nothing else is said, until dropped.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

// === impl Server ===

impl Server {
    /// Accepts connections, and writes its address to each.
    pub(crate) fn tcp() -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into())
    }

    /// The same at another address of this network.
    pub(crate) fn at(address: IpAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        Self::run(address, move |stop| {
            while let Ok((mut stream, _)) = listener.accept() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // The client may be gone: its problem.
                let _ = stream.write_all(address.to_string().as_bytes());
            }
        })
    }

    /// A TCP server at `::1`.
    pub(crate) fn tcp6() -> Self {
        Self::at(Ipv6Addr::LOCALHOST.into())
    }

    /// Answers every datagram with its address.
    pub(crate) fn udp() -> Self {
        Self::udp_at(Ipv4Addr::LOCALHOST.into())
    }

    /// The same at `::1`.
    pub(crate) fn udp6() -> Self {
        Self::udp_at(Ipv6Addr::LOCALHOST.into())
    }

    fn udp_at(address: IpAddr) -> Self {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        Self::run(address, move |stop| {
            let mut buffer = [0; 64];
            while let Ok((_, from)) = socket.recv_from(&mut buffer) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let _ = socket.send_to(address.to_string().as_bytes(), from);
            }
        })
    }

    fn run(address: SocketAddr, serve: impl FnOnce(&AtomicBool) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = Some(std::thread::spawn(move || serve(&flag)));
        Self { address, stop, thread }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes it, whichever protocol it speaks.
        let _ = TcpStream::connect(self.address);
        if let Ok(socket) = UdpSocket::bind((self.address.ip(), 0)) {
            let _ = socket.send_to(b"stop", self.address);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Sends back what it gets, on any number of connections, for as long as the process lives.
pub(crate) fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || io::copy(&mut &stream, &mut &stream));
        }
    });
    address
}

/// Connections to [`echo`]es that are used from time to time.
pub(crate) struct Live(Vec<TcpStream>);

/// [`Live`] connections that are used all the time.
pub(crate) struct Busy {
    stop: Arc<AtomicBool>,
    /// How often all of them have exchanged something.
    rounds: Arc<AtomicU64>,
    thread: JoinHandle<Live>,
}

impl Live {
    pub(crate) fn connect(to: SocketAddr, count: usize) -> Self {
        let connect = |_| {
            let stream = TcpStream::connect(to).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        };
        let live = Self((0..count).map(connect).collect());
        live.check();
        live
    }

    /// All of them still work.
    pub(crate) fn check(&self) {
        for mut stream in &self.0 {
            stream.write_all(b"alive").unwrap();
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"alive");
        }
    }
}

impl Live {
    /// Uses each of them, one after the other, until [`Busy::rest`].
    pub(crate) fn busy(self) -> Busy {
        let (stop, rounds) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, done) = (Arc::clone(&stop), Arc::clone(&rounds));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                self.check();
                done.fetch_add(1, Ordering::Relaxed);
            }
            self
        });
        Busy { stop, rounds, thread }
    }

    /// Ends all of them with a reset.
    pub(crate) fn reset(self) {
        for stream in self.0 {
            let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            setsockopt(&stream, sockopt::Linger, &linger).unwrap();
        }
    }
}

// === impl Busy ===

impl Busy {
    /// Waits until all of them have begun and ended another exchange since now.
    pub(crate) fn another_round(&self) {
        // The one that is under way may have begun before.
        let wanted = self.rounds.load(Ordering::Relaxed) + 2;
        wait_until("all have exchanged something again", || {
            self.thread.is_finished() || self.rounds.load(Ordering::Relaxed) >= wanted
        });
        assert!(!self.thread.is_finished(), "a connection is lost");
    }

    /// The connections, once none is being used.
    pub(crate) fn rest(self) -> Live {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Several servers, and their addresses in order.
pub(crate) fn servers(count: usize, start: fn() -> Server) -> (Vec<Server>, Vec<SocketAddr>) {
    let mut servers: Vec<Server> = (0..count).map(|_| start()).collect();
    servers.sort_by_key(|server| server.address);
    let addresses = servers.iter().map(|server| server.address).collect();
    (servers, addresses)
}

/// Which server answers a TCP connection.
pub(crate) fn ask(to: SocketAddr) -> io::Result<SocketAddr> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.parse().unwrap())
}

/// The same address, as an IPv6 socket has it.
pub(crate) fn mapped(address: SocketAddr) -> SocketAddr {
    let IpAddr::V4(ip) = address.ip() else { panic!("{address} is not IPv4") };
    SocketAddr::new(ip.to_ipv6_mapped().into(), address.port())
}

/// A TCP socket whose handshake has begun and is waited for by nobody.
pub(crate) fn begin_connect(to: SocketAddr) -> OwnedFd {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, flags, None).unwrap();
    let begun = connect(socket.as_raw_fd(), &SockaddrStorage::from(to));
    assert_eq!(begun, Err(Errno::EINPROGRESS));
    socket
}

/// Which server answered an unconnected UDP socket, and whom the answer seems to come from.
pub(crate) fn answer(socket: &UdpSocket) -> io::Result<(SocketAddr, SocketAddr)> {
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer)?;
    Ok((str::from_utf8(&buffer[..length]).unwrap().parse().unwrap(), from))
}

/// Asks `to`, and waits for its [`answer`].
pub(crate) fn exchange(
    socket: &UdpSocket,
    to: impl Into<SocketAddr>,
) -> io::Result<(SocketAddr, SocketAddr)> {
    socket.send_to(b"who?", to.into())?;
    answer(socket)
}
