//! Commands in the containers of tasks, and being attached to tasks, from the command line.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use muster_harness::{Cluster, command, paths, ready, wait};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use serde_json::json;

use crate::support::{WITHIN, await_up, cluster, sleeper, stop};

/// What is typed to be detached.
const DETACH: &str = "\u{10}\u{11}";

/// `muster task` on the first agent's machine.
fn muster(cluster: &Cluster, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    if program == "setsid" {
        // So that the terminal is its own, and tells it of its size.
        command.args(["--ctty", "--wait"]).arg(paths::muster().unwrap());
    }
    command.args(["task", "--master-url", &cluster.master_address().to_string()]);
    command.args(arguments);
    cluster.agents()[0].client().unwrap().place(&mut command).unwrap();
    command
}

fn plain(cluster: &Cluster, arguments: &[&str]) -> Command {
    muster(cluster, paths::muster().unwrap().to_str().unwrap(), arguments)
}

/// A person at a terminal.
struct Person {
    keys: File,
    terminal: OwnedFd,
    seen: Arc<Mutex<String>>,
    child: Child,
}

impl Person {
    fn run(cluster: &Cluster, size: Winsize, arguments: &[&str]) -> Self {
        let pair = nix::pty::openpty(None, None).unwrap();
        tcsetwinsize(&pair.master, size).unwrap();
        let end = || Stdio::from(pair.slave.try_clone().unwrap());
        let mut command = muster(cluster, "setsid", arguments);
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keys = File::from(pair.master);
        let (mut screen, seen) = (keys.try_clone().unwrap(), Arc::default());
        let written: Arc<Mutex<String>> = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut piece) {
                written.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        });
        Self { keys, terminal: pair.slave, seen, child }
    }

    fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    fn sees(&self, text: &str) {
        wait::eventually(format!("{text:?} on the screen"), WITHIN, || {
            let seen = self.seen.lock().unwrap();
            ready(seen.contains(text), || seen.clone())
        })
        .unwrap();
    }

    /// How it ended, which leaves the terminal as it was.
    fn ends(mut self) -> Option<i32> {
        let code = wait::eventually("the command to end", WITHIN, || {
            let ended = self.child.try_wait().unwrap();
            ready(ended.is_some(), || self.seen.lock().unwrap().clone())?;
            Ok(ended.unwrap().code())
        });
        let code = code.unwrap();
        let echoes = rustix::termios::LocalModes::ECHO | rustix::termios::LocalModes::ICANON;
        assert!(tcgetattr(&self.terminal).unwrap().local_modes.contains(echoes));
        code
    }
}

/// Waits until somebody sleeps so long, or nobody does.
fn await_sleep(seconds: &str, sleeps: bool) {
    let line = format!("sleep\0{seconds}\0");
    let found = || {
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            fs::read(entry.path().join("cmdline")).is_ok_and(|found| found == line.as_bytes())
        })
    };
    let what = format!("sleep {seconds} to run or to be gone");
    wait::eventually(what, WITHIN, || ready(found() == sleeps, String::new)).unwrap();
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

#[test]
fn t80_a_command_in_a_task_has_its_streams_here_and_its_status() {
    let Some(mut cluster) = cluster("t80", 1) else { return };
    cluster.marathon().create(&sleeper("/s", 1)).unwrap();
    let task = await_up(&mut cluster, "/s", 1).remove(0).id;
    let line = "echo $0 \"$@\"; echo error >&2; exit 7";
    let output =
        plain(&cluster, &["exec", &task, "sh", "-c", line, "zero", "-x"]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!((out.as_str(), errors.as_str()), ("zero -x\n", "error\n"));
    assert_eq!(output.status.code(), Some(7));
    let killed = plain(&cluster, &["exec", &task, "sh", "-c", "kill -9 $$"]).output().unwrap();
    assert_eq!(killed.status.code(), Some(137));
    let missing = plain(&cluster, &["exec", &task, "/no/such/thing"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("/no/such/thing"), "{}", text(&missing.stderr));
    let nobody = plain(&cluster, &["exec", "nobody", "true"]).output().unwrap();
    assert!(text(&nobody.stderr).contains("there is no task nobody"));
    let terminal = plain(&cluster, &["exec", "-t", &task, "true"]).stdin(Stdio::null()).output();
    assert!(text(&terminal.unwrap().stderr).contains("--tty needs a terminal"));

    // All of a lot of input goes through, there and back.
    let numbers: Vec<String> = (0..300_000).map(|number| number.to_string()).collect();
    let numbers = numbers.join("\n");
    let mut cat = plain(&cluster, &["exec", "--interactive", &task, "cat"]);
    let back = command::output_with_input(&mut cat, numbers.as_bytes()).unwrap();
    assert!(back == numbers, "{} of {} bytes", back.len(), numbers.len());

    // One that is killed leaves nothing in the task.
    let mut idle = plain(&cluster, &["exec", &task, "sleep", "1080808"]).spawn().unwrap();
    await_sleep("1080808", true);
    idle.kill().unwrap();
    idle.wait().unwrap();
    await_sleep("1080808", false);
    stop(cluster);
}

#[test]
fn t81_a_terminal_in_a_task_is_as_the_one_here() {
    let Some(mut cluster) = cluster("t81", 1) else { return };
    cluster.marathon().create(&sleeper("/s", 1)).unwrap();
    let mut app = sleeper("/tty", 1);
    app["cmd"] = json!("while read x; do echo got $x; stty size; done; exit 5");
    app["tty"] = json!(true);
    cluster.marathon().create(&app).unwrap();
    let task = await_up(&mut cluster, "/s", 1).remove(0).id;
    let mut person = Person::run(&cluster, size(31, 77), &["exec", "-it", &task, "sh"]);
    person.types("echo $((40 + 2)); stty size\n");
    person.sees("42\r\n31 77\r\n");
    tcsetwinsize(&person.keys, size(40, 100)).unwrap();
    person.types("until stty size | grep '40 100'; do sleep 0.1; done; tty\n");
    person.sees("40 100\r\n/dev/pts/");
    // Keys are for the command, also those that are signals here.
    person.types("sleep 1080807\n");
    await_sleep("1080807", true);
    person.types("\u{3}");
    person.types("exit 3\n");
    assert_eq!(person.ends(), Some(3));

    let task = await_up(&mut cluster, "/tty", 1).remove(0).id;
    let mut person = Person::run(&cluster, size(20, 50), &["attach", &task]);
    person.types("a\n");
    person.sees("got a\r\n20 50\r\n");
    person.types(DETACH);
    assert_eq!(person.ends(), Some(0));
    let mut person = Person::run(&cluster, size(20, 50), &["attach", &task]);
    person.types("b\n");
    person.sees("got b\r\n20 50\r\n");
    let second = plain(&cluster, &["attach", "--no-stdin", &task]);
    let mut second = { second }.stdout(Stdio::piped()).spawn().unwrap();
    let refused = plain(&cluster, &["attach", &task]).stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert!(errors.contains("Multiple input connections"), "{errors}");
    // The end of the input, as a terminal has it, ends this task.
    person.types("\u{4}");
    assert_eq!(person.ends(), Some(5));
    wait::eventually("the other to end too", Duration::from_mins(1), || {
        ready(second.try_wait().unwrap().is_some(), String::new)
    })
    .unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(5));
    let plain_task = await_up(&mut cluster, "/s", 1).remove(0).id;
    let refused = plain(&cluster, &["attach", &plain_task]).output().unwrap();
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert!(errors.contains("needs a task with a terminal"), "{errors}");
    stop(cluster);
}
