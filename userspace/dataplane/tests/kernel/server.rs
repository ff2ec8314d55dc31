//! Servers to be backends: each answers with its own address.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, socket},
};

/// Longer than anything on loopback takes; a failure, not a measure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server on 127.0.0.1, until dropped.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddrV4,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

// === impl Server ===

impl Server {
    /// Accepts connections, and writes its address to each.
    pub(crate) fn tcp() -> Self {
        Self::at(Ipv4Addr::LOCALHOST)
    }

    /// The same at another address of this network.
    pub(crate) fn at(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = v4(listener.local_addr().unwrap());
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

    /// Answers every datagram with its address.
    pub(crate) fn udp() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = v4(socket.local_addr().unwrap());
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

    fn run(address: SocketAddrV4, serve: impl FnOnce(&AtomicBool) + Send + 'static) -> Self {
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
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
            let _ = socket.send_to(b"stop", self.address);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Several servers, and their addresses in order.
pub(crate) fn servers(count: usize, start: fn() -> Server) -> (Vec<Server>, Vec<SocketAddrV4>) {
    let mut servers: Vec<Server> = (0..count).map(|_| start()).collect();
    servers.sort_by_key(|server| server.address);
    let addresses = servers.iter().map(|server| server.address).collect();
    (servers, addresses)
}

/// Which server answers a TCP connection.
pub(crate) fn ask(to: impl Into<SocketAddr>) -> std::io::Result<SocketAddrV4> {
    let mut stream = TcpStream::connect(to.into())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.parse().unwrap())
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(address) => panic!("{address} is not IPv4"),
    }
}

/// A TCP socket whose handshake has begun and is waited for by nobody.
pub(crate) fn begin_connect(to: SocketAddrV4) -> OwnedFd {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    let begun = connect(socket.as_raw_fd(), &SockaddrIn::from(to));
    assert_eq!(begun, Err(Errno::EINPROGRESS));
    socket
}
