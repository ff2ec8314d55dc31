//! The server.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::Failure;

/// Serves until it is killed.
pub(crate) async fn run(port: u16, name: &str, backlog: u32) -> Result<(), Failure> {
    let (listener, answer) = listen(port, name, backlog)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(answer_lines(stream, Arc::clone(&answer)));
    }
}

/// Serves until SIGTERM, and then those whose connections are open, as long as they like.
pub(crate) async fn until_left(port: u16, name: &str, backlog: u32) -> Result<(), Failure> {
    let (listener, answer) = listen(port, name, backlog)?;
    let mut told = signal(SignalKind::terminate())?;
    let mut told = pin!(told.recv());
    let mut served = JoinSet::new();
    loop {
        select! {
            accepted = listener.accept() => {
                served.spawn(answer_lines(accepted?.0, Arc::clone(&answer)));
            }
            // Others have left meanwhile.
            Some(_) = served.join_next() => {}
            _ = &mut told => break,
        }
    }
    // Who was sent here before everybody knew is served, too.
    loop {
        select! {
            accepted = listener.accept() => {
                served.spawn(answer_lines(accepted?.0, Arc::clone(&answer)));
            }
            left = served.join_next() => if left.is_none() { return Ok(()) },
        }
    }
}

fn listen(port: u16, name: &str, backlog: u32) -> Result<(TcpListener, Arc<str>), Failure> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::UNSPECIFIED, port).into())?;
    Ok((socket.listen(backlog)?, format!("{name}\n").into()))
}

/// Until the client closes the connection, or is gone: its problem.
async fn answer_lines(stream: TcpStream, answer: Arc<str>) {
    // Small: there are thousands.
    let mut stream = BufReader::with_capacity(64, stream);
    let mut line = String::new();
    while matches!(stream.read_line(&mut line).await, Ok(1..)) {
        line.clear();
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
