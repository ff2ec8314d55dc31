//! Datagrams there and back, for a bench.
//!
//! `udp_rate answer ADDRESS:PORT…` answers all that come to these sockets, for ever.
//! `udp_rate ask connected|unconnected ADDRESS:PORT SECONDS` sends them by one socket, some at a time, and says
//! how many were answered, by the address that was asked.

use std::{
    env, io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

type Failure = Box<dyn std::error::Error>;

/// Datagrams on their way at a time: few enough for any socket's buffer.
const WINDOW: u32 = 32;
/// Until one is lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// What each carries.
const PAYLOAD: [u8; 64] = [0x2a; 64];

fn main() -> ExitCode {
    let given: Vec<String> = env::args().skip(1).collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let done = match *given {
        ["answer", ref sockets @ ..] => answer(sockets),
        ["ask", socket, to, seconds] => ask(socket, to, seconds),
        _ => {
            Err("udp_rate answer ADDRESS:PORT… | ask connected|unconnected ADDRESS:PORT SECONDS"
                .into())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp_rate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn answer(sockets: &[&str]) -> Result<(), Failure> {
    let sockets: Vec<_> = sockets.iter().map(UdpSocket::bind).collect::<io::Result<_>>()?;
    let threads: Vec<_> =
        sockets.into_iter().map(|socket| thread::spawn(move || echo(&socket))).collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    Ok(())
}

fn echo(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..length], from)?;
    }
}

fn ask(socket: &str, to: &str, seconds: &str) -> Result<(), Failure> {
    let to: SocketAddr = to.parse()?;
    let time = Duration::from_secs(seconds.parse()?);
    let connected = match socket {
        "connected" => true,
        "unconnected" => false,
        other => return Err(format!("{other}: connected or unconnected").into()),
    };
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    if connected {
        socket.connect(to)?;
    }
    let mut buffer = [0; 2048];
    let (start, mut answers) = (Instant::now(), 0_u64);
    while start.elapsed() < time {
        for _ in 0..WINDOW {
            if connected { socket.send(&PAYLOAD) } else { socket.send_to(&PAYLOAD, to) }?;
        }
        for _ in 0..WINDOW {
            if connected {
                socket.recv(&mut buffer)?;
            } else if socket.recv_from(&mut buffer)?.1 != to {
                return Err("an answer is not from whom was asked".into());
            }
            answers += 1;
        }
    }
    println!("{answers} answers in {}", start.elapsed().as_secs_f64());
    Ok(())
}
