//! One connection of the client.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a machine that is busy may take for a handshake or an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that has exchanged something.
pub(crate) struct Stream {
    /// Who answers.
    pub(crate) server: String,
    connection: BufReader<TcpStream>,
}

impl Stream {
    /// Connects, asks who is there, and that the peer is who was asked for.
    pub(crate) async fn open(to: SocketAddr) -> Result<Self, String> {
        let connection = patient(TcpStream::connect(to)).await?;
        let peer = connection.peer_addr().map_err(|error| error.to_string())?;
        if peer != to {
            return Err(format!("the peer is {peer}, not {to}"));
        }
        let mut stream =
            Self { server: String::new(), connection: BufReader::with_capacity(64, connection) };
        stream.server = stream.ask().await?;
        Ok(stream)
    }

    /// Another exchange, with the same server.
    pub(crate) async fn exchange(&mut self) -> Result<(), String> {
        let server = self.ask().await?;
        if server == self.server { Ok(()) } else { Err(format!("{server} answered")) }
    }

    async fn ask(&mut self) -> Result<String, String> {
        patient(self.connection.write_all(b"?\n")).await?;
        let mut answer = String::new();
        match patient(self.connection.read_line(&mut answer)).await? {
            0 => Err("closed by the server".to_owned()),
            _ => Ok(answer.trim_end().to_owned()),
        }
    }
}

/// A connection that is given up when it has exchanged nothing after `patience`.
pub(crate) async fn brief(to: SocketAddr, patience: Duration) -> Result<String, String> {
    match timeout(patience, Stream::open(to)).await {
        Ok(opened) => opened.map(|stream| stream.server),
        Err(_) => Err(format!("no answer within {patience:?}")),
    }
}

async fn patient<T>(io: impl Future<Output = std::io::Result<T>>) -> Result<T, String> {
    match timeout(PATIENCE, io).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}
