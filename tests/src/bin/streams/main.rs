//! Long-lived TCP connections for the scenarios: a server that names itself, and a client that
//! holds thousands of connections and proves that each of them lives.
//!
//! `streams serve PORT NAME BACKLOG` answers each line on each connection with `NAME`; handshakes
//! of more than `BACKLOG` connections and one are not answered while it accepts none. With a fourth
//! word, `drain`, it ends after SIGTERM as soon as its clients have closed all their connections.
//!
//! `streams hold` takes commands from standard input, one a line, and answers each with a line of
//! JSON: `open COUNT ADDRESS:PORT`, `exchange`, `burst COUNT ADDRESS:PORT`, `churn ADDRESS:PORT`,
//! `churned`, `pump`, `pumped`, `leave SERVER`.
#![forbid(unsafe_code)]

mod churn;
mod hold;
mod pump;
mod serve;
mod stream;

use std::process::ExitCode;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("streams: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", port, name, backlog] => serve::run(port.parse()?, name, backlog.parse()?).await,
        ["serve", port, name, backlog, "drain"] => {
            serve::until_left(port.parse()?, name, backlog.parse()?).await
        }
        ["hold"] => hold::run().await,
        _ => Err("usage: streams serve PORT NAME BACKLOG [drain], or streams hold".into()),
    }
}
