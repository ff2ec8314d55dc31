//! A backend behind a slow network.

use std::{
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd as _,
    time::Duration,
};

use muster_dataplane::Protocol;
use nix::{errno::Errno, libc};

use crate::{
    machine::{Machine, ip},
    server::{Server, ask, servers},
    view::tcp,
};

/// What each packet takes to the slow address: a hundred times what loopback takes, on a
/// machine that does other things as well.
const DELAY: Duration = Duration::from_millis(40);

/// An address whose packets come back from a user-space device, each after [`DELAY`], with
/// source and destination exchanged: who connects to it reaches a server of this machine.
fn slow_address() -> IpAddr {
    let tun = File::options().read(true).write(true).open("/dev/net/tun").unwrap();
    let mut request = [0u8; 40];
    request[..5].copy_from_slice(b"slow0");
    let flags = u16::try_from(libc::IFF_TUN | libc::IFF_NO_PI).unwrap();
    request[16..18].copy_from_slice(&flags.to_ne_bytes());
    // SAFETY: a `struct ifreq` with a name that ends with a zero, which lives beyond the call.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, request.as_ptr()) };
    Errno::result(result).unwrap();
    ip("link set slow0 up");
    ip("addr add 10.98.0.1/24 dev slow0");
    // Ends with the network namespace, whose device is then gone.
    std::thread::spawn(move || mirror(tun));
    [10, 98, 0, 2].into()
}

fn mirror(mut tun: File) {
    let mut packet = [0; 2048];
    loop {
        match tun.read(&mut packet) {
            Ok(length) if packet[0] >> 4 == 4 => {
                std::thread::park_timeout(DELAY);
                // The sums are over both addresses, in whatever order.
                let (source, destination) = packet[12..20].split_at_mut(4);
                source.swap_with_slice(destination);
                // Full queues lose packets; that is their right.
                let _ = tun.write(&packet[..length]);
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[test]
fn slow_backend_gets_less() {
    let Some(mut machine) = Machine::new() else { return };
    let slow = slow_address();
    let (_servers, mut backends) = servers(3, Server::tcp);
    let behind = Server::at([10, 98, 0, 1].into());
    backends.push(SocketAddr::new(slow, behind.address.port()));
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[tcp("11.0.0.1:80", &backends)]).unwrap();
    let vip: SocketAddr = "11.0.0.1:80".parse().unwrap();

    let mut answers = [0u64, 0];
    for _ in 0..200 {
        let answer = ask(vip).unwrap();
        answers[usize::from(answer == behind.address)] += 1;
    }
    // Evenly it would be 50. Once its latency is known, the others are faster, unless the
    // machine is that slow; with time it is tried again.
    assert!(answers[1] >= 1 && answers[1] < 25, "{answers:?}");
    let shown = plane.vip(vip, Protocol::Tcp).unwrap().unwrap().backends;
    let latency = |address| shown.iter().find(|b| b.address == address).unwrap().latency;
    let known = latency(backends[3]).unwrap();
    assert!(known >= DELAY, "{known:?}");
    assert!(latency(backends[0]).unwrap() < known);
    let slow = &shown.iter().find(|b| b.address == backends[3]).unwrap().latencies;
    assert_eq!(slow.count(), answers[1]);
    assert!(slow.mean().unwrap() >= DELAY && slow.max().unwrap() >= DELAY, "{slow:?}");
    // In the bucket that it belongs to, or a later one.
    assert!(slow.min().unwrap() * 2 >= DELAY, "{slow:?}");
}
