//! `muster image`: the image store of an agent.

mod store;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use serde_json::Value;
use store::Store;

use crate::table;
use crate::task::is_broken_pipe;

/// Flags of the commands about images.
#[derive(Debug, Args)]
pub(crate) struct ImageFlags {
    /// The agent's HTTP interface: `[http://]HOST[:PORT]`; the port is 5051 unless given.
    #[arg(long, global = true, env = "MUSTER_AGENT_URL", default_value = "127.0.0.1")]
    agent_url: String,
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Debug, Subcommand)]
enum ImageCommand {
    /// Makes an image ready for containers.
    Pull {
        /// The image: `NAME[:TAG][@DIGEST]`.
        image: String,
        /// Asks the registry what the tag stands for though the image is there.
        #[arg(long)]
        force: bool,
    },
    /// Lists what the store has pulled or unpacked.
    #[command(visible_alias = "ls")]
    List,
    /// Removes images that no container uses.
    #[command(visible_alias = "rm")]
    Remove {
        /// The images.
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Removes all images that no container uses.
    Prune {
        /// An image that stays; can be repeated.
        #[arg(long)]
        exclude: Vec<String>,
    },
}

/// Does what is asked for.
pub(crate) fn run(flags: &ImageFlags) -> ExitCode {
    let store = Store::at(&flags.agent_url);
    let mut output = io::stdout().lock();
    let result = match &flags.command {
        ImageCommand::Pull { image, force } => pull(&store, image, *force, &mut output),
        ImageCommand::List => list(&store, &mut output),
        ImageCommand::Remove { images } => remove(&store, images, &mut output),
        ImageCommand::Prune { exclude } => prune(&store, exclude, &mut output),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has had enough, as head has.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be listening; the exit code remains.
            let _ = writeln!(io::stderr(), "muster image: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn pull(store: &Store, image: &str, force: bool, output: &mut impl Write) -> anyhow::Result<()> {
    let pulled = store.pull(image, force, |message| {
        // Progress is for those who watch; what comes of it is what is printed.
        let _ = writeln!(io::stderr(), "{message}");
    })?;
    let digest = pulled["digest"].as_str().unwrap_or("-");
    writeln!(output, "{}@{digest}", pulled["name"].as_str().unwrap_or(image))?;
    Ok(())
}

fn list(store: &Store, output: &mut impl Write) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let head = ["NAME", "DIGEST", "SIZE", "LAST USED", "IN USE BY"].map(str::to_owned);
    let images = store.images()?;
    let rows = std::iter::once(head).chain(images.iter().map(|image| row(image, now)));
    let rows: Vec<_> = rows.collect();
    table::write(output, &rows)?;
    Ok(())
}

fn row(image: &Value, now: Duration) -> [String; 5] {
    let text = |name: &str| image[name].as_str().unwrap_or("-").to_owned();
    let digest = text("digest");
    let short = digest.strip_prefix("sha256:").and_then(|hex| hex.get(..12));
    let used_by = image["used_by"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let used_by = used_by.collect::<Vec<_>>().join(",");
    [
        text("name"),
        short.unwrap_or(&digest).to_owned(),
        size(image["bytes"].as_u64().unwrap_or_default()),
        ago(now.as_secs_f64() - image["last_used"].as_f64().unwrap_or_default()),
        if used_by.is_empty() { "-".to_owned() } else { used_by },
    ]
}

fn remove(store: &Store, images: &[String], output: &mut impl Write) -> anyhow::Result<()> {
    let mut failed = Ok(());
    for image in images {
        match store.remove(image) {
            Ok(removed) => {
                for name in removed {
                    writeln!(output, "{name}")?;
                }
            }
            Err(error) if images.len() == 1 => return Err(error),
            Err(error) => {
                let _ = writeln!(io::stderr(), "muster image: {error:#}");
                failed = Err(anyhow::anyhow!("not all were removed"));
            }
        }
    }
    failed
}

fn prune(store: &Store, excluded: &[String], output: &mut impl Write) -> anyhow::Result<()> {
    let name = |image: &Value| image["name"].as_str().unwrap_or_default().to_owned();
    let before = store.images()?;
    store.prune(excluded)?;
    let after: Vec<String> = store.images()?.iter().map(name).collect();
    let gone = before.iter().filter(|image| !after.contains(&name(image)));
    for image in gone {
        writeln!(output, "{}", name(image))?;
    }
    Ok(())
}

/// As for people: `12.3MB`.
fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
    let mut number = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if number < 1000.0 {
            break;
        }
        (number, unit) = (number / 1000.0, next);
    }
    if unit == "B" { format!("{bytes}B") } else { format!("{number:.1}{unit}") }
}

/// How long ago, in the largest unit that fits.
fn ago(seconds: f64) -> String {
    let units = [(86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second")];
    let fits = units.into_iter().find(|(length, _)| seconds >= *length);
    let Some((length, unit)) = fits else { return "now".to_owned() };
    let count = (seconds / length).floor();
    format!("{count} {unit}{} ago", if count > 1.0 { "s" } else { "" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_for_people() {
        let digest = format!("sha256:{}", "0123456789ab".repeat(6));
        let image = json!({
            "name": "nginx:latest", "digest": &digest[..71], "bytes": 12_345_678,
            "last_used": 1000.5, "used_by": ["a", "b"],
        });
        let row = row(&image, Duration::from_secs(1000 + 7300));
        assert_eq!(row, ["nginx:latest", "0123456789ab", "12.3MB", "2 hours ago", "a,b"]);
        assert_eq!([size(999), size(1000), size(5_000_000_000_000)], ["999B", "1.0kB", "5000.0GB"]);
        assert_eq!([ago(-3.0), ago(1.5), ago(90.0)], ["now", "1 second ago", "1 minute ago"]);
    }
}
