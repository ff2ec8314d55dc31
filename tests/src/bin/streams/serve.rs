//! The server.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};

use crate::Failure;

/// Serves until it is killed.
pub(crate) async fn run(port: u16, name: &str, backlog: u32) -> Result<(), Failure> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::UNSPECIFIED, port).into())?;
    let listener = socket.listen(backlog)?;
    let answer: Arc<str> = format!("{name}\n").into();
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(answer_lines(stream, Arc::clone(&answer)));
    }
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
