//! The client: commands in, answers out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::{JoinSet, spawn_blocking};

use crate::Failure;
use crate::churn::Churn;
use crate::pump::Pump;
use crate::stream::{Stream, brief};

/// Connections that are opened, or asked, at the same time.
const WIDTH: usize = 128;

/// How long a connection of a burst may take: longer than a handshake that counts as failed.
const BRIEF: Duration = Duration::from_secs(4);

/// Carries out commands until standard input ends.
pub(crate) async fn run() -> Result<(), Failure> {
    let mut held = Vec::new();
    let (mut churn, mut pump) = (None, None);
    while let Some(command) = spawn_blocking(|| std::io::stdin().lines().next()).await? {
        let command = command?;
        let words: Vec<&str> = command.split_whitespace().collect();
        let answer = match (words.as_slice(), &churn, &pump) {
            (["open", count, to], ..) => open(&mut held, count.parse()?, to.parse()?).await?,
            (["exchange"], ..) => exchange(&mut held).await?,
            (["burst", count, to], ..) => burst(count.parse()?, to.parse()?).await?,
            (["churn", to], None, _) => {
                churn = Some(Churn::start(to.parse()?));
                json!({})
            }
            (["churned"], Some(churn), _) => churn.taken(),
            (["pump"], _, None) => {
                pump = Some(Pump::start(std::mem::take(&mut held)));
                json!({})
            }
            (["pumped"], _, Some(pump)) => pump.taken(),
            (["leave", server], _, Some(pump)) => pump.leave(server),
            _ => return Err(format!("no command: {command:?}").into()),
        };
        println!("{answer}");
    }
    Ok(())
}

/// Opens connections; says who serves how many, and why others failed.
async fn open(held: &mut Vec<Stream>, count: usize, to: SocketAddr) -> Result<Value, Failure> {
    let (mut opened, mut failed) = (BTreeMap::<String, u64>::new(), Vec::new());
    let mut tasks = JoinSet::new();
    for number in 0..count + WIDTH {
        if number >= WIDTH
            && let Some(done) = tasks.join_next().await
        {
            match done? {
                Ok(stream) => {
                    let stream: Stream = stream;
                    *opened.entry(stream.server.clone()).or_default() += 1;
                    held.push(stream);
                }
                Err(reason) => failed.push(reason),
            }
        }
        if number < count {
            tasks.spawn(Stream::open(to));
        }
    }
    Ok(json!({ "opened": opened, "failed": failed }))
}

/// Opens connections, all at once, exchanges something on each and closes it; says who answered
/// how many, and how many were given up.
async fn burst(count: usize, to: SocketAddr) -> Result<Value, Failure> {
    let (mut opened, mut failed) = (BTreeMap::<String, u64>::new(), Vec::new());
    let mut tasks: JoinSet<_> = (0..count).map(|_| brief(to, BRIEF)).collect();
    while let Some(done) = tasks.join_next().await {
        match done? {
            Ok(server) => *opened.entry(server).or_default() += 1,
            Err(reason) => failed.push(reason),
        }
    }
    Ok(json!({ "opened": opened, "failed": failed }))
}

/// Exchanges something on every connection; says whose live, and lets go of the others.
async fn exchange(held: &mut Vec<Stream>) -> Result<Value, Failure> {
    let mut alive = BTreeMap::<String, u64>::new();
    let mut lost = BTreeMap::<String, BTreeMap<String, u64>>::new();
    let mut tasks = JoinSet::new();
    let mut waiting = std::mem::take(held).into_iter();
    loop {
        while tasks.len() < WIDTH
            && let Some(mut stream) = waiting.next()
        {
            tasks.spawn(async move {
                let result = stream.exchange().await;
                (stream, result)
            });
        }
        let Some(done) = tasks.join_next().await else { break };
        let (stream, result) = done?;
        match result {
            Ok(()) => {
                *alive.entry(stream.server.clone()).or_default() += 1;
                held.push(stream);
            }
            Err(reason) => {
                *lost.entry(stream.server).or_default().entry(reason).or_default() += 1;
            }
        }
    }
    Ok(json!({ "alive": alive, "lost": lost }))
}
