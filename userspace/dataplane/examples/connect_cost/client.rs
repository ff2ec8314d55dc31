//! A process in a cgroup that connects to itself when told to.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{SocketAddrV4, TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{Failure, bed::enter, now_ns, processor};

/// What makes this program a client: `--client CGROUP LISTEN CONNECT`.
pub(crate) const ARGUMENT: &str = "--client";

/// A client, in the eyes of who measures.
pub(crate) struct Client {
    process: Child,
    orders: Option<ChildStdin>,
    results: BufReader<ChildStdout>,
}

// === impl Client ===

impl Client {
    /// Starts a client in a cgroup, whose server listens at `listen` and which connects to `to`.
    pub(crate) fn start(
        cgroup: &Path,
        listen: SocketAddrV4,
        to: SocketAddrV4,
    ) -> Result<Self, Failure> {
        let mut process = Command::new(env::current_exe()?)
            .arg(ARGUMENT)
            .arg(cgroup)
            .args([listen.to_string(), to.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = process.stdin.take();
        let results = process.stdout.take().ok_or("the client has no output")?;
        Ok(Self { process, orders, results: BufReader::new(results) })
    }

    /// Has it make so many connections; the ns each of them took.
    pub(crate) fn connect(&mut self, count: usize) -> Result<f64, Failure> {
        writeln!(self.orders.as_ref().ok_or("the client has no input")?, "{count}")?;
        let mut line = String::new();
        self.results.read_line(&mut line)?;
        Ok(line.trim().parse().map_err(|_| "a client ended early")?)
    }
}

impl Drop for Client {
    /// Ends it, and waits until it is gone from its cgroup.
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Err(error) = self.process.wait() {
            eprintln!("waiting for a client: {error}");
        }
    }
}

/// What the client's process does, until its input ends.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let [cgroup, listen, to] = arguments else { return Err("not for people".into()) };
    let to: SocketAddrV4 = to.parse()?;
    processor::stay_on_one()?;
    // Accepted sockets belong to the cgroup that their listener was made in.
    let listener = TcpListener::bind(listen)?;
    enter(Path::new(cgroup))?;
    for line in io::stdin().lines() {
        let count: usize = line?.trim().parse()?;
        let start = now_ns()?;
        for _ in 0..count {
            let client = TcpStream::connect(to)?;
            let (server, _) = listener.accept()?;
            // As a web server does after its answer.
            drop(server);
            drop(client);
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
        let each = (now_ns()? - start) as f64 / count as f64;
        println!("{each}");
    }
    Ok(())
}
