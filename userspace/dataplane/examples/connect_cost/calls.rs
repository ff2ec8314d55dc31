//! What each program takes for one call, as the kernel's statistics have it (Linux 5.8).
//!
//! Connections are made and datagrams exchanged by this process in the agent's cgroup, until
//! each program has run many times. The statistics cost some 20 ns themselves, which are
//! in the figures.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
};

use aya::{
    programs::{
        ProgramInfo,
        links::{FdLink, PinnedLink},
        loaded_programs,
    },
    sys::{Stats, enable_stats},
};
use muster_dataplane::Protocol;
use serde_json::json;

use crate::{
    Failure,
    arguments::Arguments,
    bed::{Bed, enter},
    view::{BACKENDS, vip_address, vip_at},
};

/// Connections, and datagrams, of each family in a round.
const CALLS: usize = 50;

pub(crate) fn measure(arguments: &Arguments, bed: &mut Bed) -> Result<(), Failure> {
    enter(bed.outside())?;
    let (mut clients, mut view) = (Vec::new(), Vec::new());
    for (vip, host) in [
        (SocketAddr::from(vip_address(0)), IpAddr::from(Ipv4Addr::LOCALHOST)),
        ("[fd01:c::1]:80".parse()?, Ipv6Addr::LOCALHOST.into()),
    ] {
        let servers = (0..BACKENDS).map(|_| Server::new(host)).collect::<io::Result<Vec<_>>>()?;
        let listening: Vec<_> = servers.iter().map(|server| server.address).collect();
        view.extend([Protocol::Tcp, Protocol::Udp].map(|of| vip_at(vip, of, &listening)));
        clients.push((vip, host, servers));
    }
    bed.serve(&view)?;
    enter(bed.inside())?;
    let clients = clients
        .into_iter()
        .map(|(vip, host, servers)| Ok((vip, UdpSocket::bind((host, 0))?, servers)))
        .collect::<io::Result<Vec<_>>>()?;

    let statistics = enable_stats(Stats::RunTime)?;
    for _ in 0..arguments.rounds {
        for (to, socket, servers) in &clients {
            for _ in 0..CALLS {
                let stream = TcpStream::connect(to)?;
                if stream.peer_addr()? != *to {
                    return Err("the peer is not the VIP".into());
                }
                socket.send_to(b"?", to)?;
                for server in servers {
                    server.answer()?;
                }
                if socket.recv_from(&mut [0; 8])?.1 != *to {
                    return Err("the answer is not the VIP's".into());
                }
            }
        }
    }
    let calls = fs::read_dir(bed.links()?)?
        .map(|link| call(&link?.path()))
        .collect::<Result<Vec<_>, Failure>>()?;
    drop(statistics);
    enter(bed.outside())?;
    for (program, ns) in calls {
        if arguments.json {
            let case = format!("one call of {program}");
            println!(
                "{}",
                json!({"bench": "connect_cost", "case": case, "subject": "muster", "value": ns, "unit": "ns"})
            );
        } else {
            println!("{program:>40}: {ns:>5} ns for a call");
        }
    }
    Ok(())
}

/// The name of a program by its pinned link, and its mean time.
fn call(link: &Path) -> Result<(String, u128), Failure> {
    let name = link.file_name().ok_or("a link has no name")?.to_string_lossy().into_owned();
    let link: FdLink = PinnedLink::from_pin(link)?.into();
    let id = link.info()?.program_id();
    // Others' programs may go away while they are listed.
    let program: ProgramInfo =
        loaded_programs().flatten().find(|program| program.id() == id).ok_or("not loaded")?;
    let runs = u128::from(program.run_count());
    let ns = program.run_time().as_nanos().checked_div(runs).ok_or("a program never ran")?;
    Ok((name, ns))
}

/// Takes connections and answers datagrams when it is told to.
struct Server {
    address: SocketAddr,
    listener: TcpListener,
    socket: UdpSocket,
}

// === impl Server ===

impl Server {
    fn new(host: IpAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((host, 0))?;
        let address = listener.local_addr()?;
        let socket = UdpSocket::bind(address)?;
        listener.set_nonblocking(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self { address, listener, socket })
    }

    /// Whatever has come by now.
    fn answer(&self) -> io::Result<()> {
        match self.listener.accept() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        match self.socket.recv_from(&mut [0; 8]) {
            Ok((_, from)) => self.socket.send_to(b"!", from).map(drop),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}
