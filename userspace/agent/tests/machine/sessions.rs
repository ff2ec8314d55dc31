//! Sessions, and being attached to containers.

use std::fs;

use muster_api::Encoding;
use muster_api::mesos::TaskInfo;
use serde_json::{Value, json};

use super::master::{Master, Peer};
use super::operated::{checkpoint, expect, id, wait};
use super::site::{Site, eventually, on_site};
use super::streams::{Input, call};
use super::tasks::{shell, sleeper};
use super::terminals::terminal;

/// The id of the container of a task that runs.
async fn run(peer: &mut Peer, info: TaskInfo) -> String {
    peer.run(info).await.container_status.unwrap().container_id.unwrap().value
}

fn session(name: &str, line: &str) -> Value {
    json!({"type": "LAUNCH_NESTED_CONTAINER_SESSION", "launch_nested_container_session": {
        "container_id": id(name), "command": {"value": line},
    }})
}

fn output(name: &str) -> Value {
    json!({"type": "ATTACH_CONTAINER_OUTPUT", "attach_container_output": {
        "container_id": id(name),
    }})
}

#[test]
fn a_session_is_a_command_with_its_streams() {
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        on_site(async |site| {
            let mut master = Master::start(site.master());
            site.start();
            let (mut peer, _) = master.register().await;
            let task = run(&mut peer, sleeper("t")).await;
            let name = format!("{task}/s");
            let asked = session(&name, "echo error >&2; cat; exit 4");
            let streams =
                call(site, &asked, encoding).await.unwrap_or_else(|a| panic!("{}", a.body));
            let input = Input::to(site, &id(&name), encoding);
            input.message(&json!({"type": "CONTROL", "control": {
                "type": "HEARTBEAT", "heartbeat": {},
            }}));
            input.data("some ");
            input.data("input\n");
            input.data("");
            assert_eq!(input.end().await.status.as_u16(), 200);
            assert_eq!(streams.end().await, ["some input\n", "error\n"]);
            // It is gone by then, and its end is still known.
            assert!(!checkpoint(site, &name).exists());
            assert_eq!(wait(site, &id(&name)).await, json!({"exit_status": 4 << 8}));
            let remove = json!({"type": "REMOVE_CONTAINER", "remove_container": {
                "container_id": id(&name),
            }});
            expect(site, 200, &remove).await;
            let asked =
                json!({"type": "WAIT_CONTAINER", "wait_container": {"container_id": id(&name)}});
            expect(site, 404, &asked).await;
        });
    }
}

#[test]
fn a_session_on_a_terminal() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let task = run(&mut peer, sleeper("t")).await;
        let name = format!("{task}/s");
        let mut asked = session(&name, "stty size; while read x; do echo got $x; stty size; done");
        asked["launch_nested_container_session"]["container"] =
            json!({"type": "MESOS", "tty_info": {"window_size": {"rows": 21, "columns": 43}}});
        let mut streams =
            call(site, &asked, Encoding::Json).await.unwrap_or_else(|a| panic!("{}", a.body));
        streams.until("21 43").await;
        let input = Input::to(site, &id(&name), Encoding::Json);
        input.size(31, 53);
        input.data("a\n");
        streams.until("got a\r\n31 53").await;
        // A second input is refused, a second reader is not.
        let second = Input::to(site, &id(&name), Encoding::Json).answer().await;
        assert_eq!(second.status.as_u16(), 409, "{}", second.body);
        let mut reader = call(site, &output(&name), Encoding::Json).await.ok().unwrap();
        input.data("b\n");
        reader.until("got b\r\n31 53").await;
        // The terminal's own sign of the end.
        input.data("\u{4}");
        streams.end().await;
        reader.end().await;
        // The input ends with its container, whether or not it was going to.
        assert_eq!(input.answer().await.status.as_u16(), 200);
        assert_eq!(wait(site, &id(&name)).await, json!({"exit_status": 0}));
    });
}

#[test]
fn a_session_ends_with_its_connection_or_its_agent() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let task = run(&mut peer, sleeper("t")).await;
        // It forks what outlives it, and does not care about signals.
        let line = "trap '' TERM HUP; (trap '' TERM HUP; sleep 1000) & echo ready; wait";
        let gone = async |site: &Site, name: &str| {
            eventually("nothing is left of it", || !checkpoint(site, name).exists()).await;
        };
        let processes = |site: &Site| -> usize {
            let groups = site.cgroups();
            let unified =
                groups.iter().find(|group| group.join(&task).join("cgroup.kill").exists());
            let mut left = vec![unified.unwrap().join(&task)];
            let mut count = 0;
            while let Some(group) = left.pop() {
                let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
                count += processes.lines().count();
                let entries = fs::read_dir(group).into_iter().flatten().map(Result::unwrap);
                left.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
            }
            count
        };
        let before = processes(site);
        let names = [format!("{task}/broken"), format!("{task}/orphan")];
        let mut streams = call(site, &session(&names[0], line), Encoding::Json).await.ok().unwrap();
        streams.until("ready").await;
        assert!(processes(site) > before);
        drop(streams);
        gone(site, &names[0]).await;
        assert_eq!(wait(site, &id(&names[0])).await, json!({"exit_status": 9}));

        let mut streams = call(site, &session(&names[1], line), Encoding::Json).await.ok().unwrap();
        streams.until("ready").await;
        site.written().await;
        site.kill();
        site.start();
        let (_peer, register) = master.register().await;
        assert_eq!(register.tasks.len(), 1);
        gone(site, &names[1]).await;
        // What the task itself does comes and goes.
        eventually("no process is left of them", || processes(site) <= before).await;
        assert_eq!(site.containers(), [task.as_str()]);
    });
}

#[test]
fn a_task_on_a_terminal_can_be_attached_to() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let line = "while read x; do echo got $x; done; exit 6";
        let task = TaskInfo { container: Some(terminal(24, 80)), ..shell("t", line) };
        let task = run(&mut peer, task).await;
        let mut reader = call(site, &output(&task), Encoding::Protobuf).await.ok().unwrap();
        let input = Input::to(site, &id(&task), Encoding::Protobuf);
        input.data("a\n");
        reader.until("got a").await;
        // Who is attached can go; the task does not notice.
        assert_eq!(input.end().await.status.as_u16(), 200);
        drop(reader);
        site.written().await;
        site.kill();
        site.start();
        let (mut peer, _) = master.register().await;
        let mut reader = call(site, &output(&task), Encoding::Protobuf).await.ok().unwrap();
        let input = Input::to(site, &id(&task), Encoding::Protobuf);
        input.data("b\n");
        reader.until("got b").await;
        input.data("");
        reader.end().await;
        assert_eq!(input.answer().await.status.as_u16(), 200);
        assert_eq!(peer.end().await.message(), "Command exited with status 6");
    });
}

#[test]
fn streams_that_make_no_sense_are_refused_by_name() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let plain = run(&mut peer, sleeper("t")).await;
        let refused = async |asked: Value| {
            let answer = call(site, &asked, Encoding::Json).await.err().unwrap();
            (answer.status.as_u16(), answer.body)
        };
        let with = |field: &str, value: Value| {
            let mut asked = session(&format!("{plain}/s"), "true");
            asked["launch_nested_container_session"][field] = value;
            asked
        };
        let unshared = json!({"type": "MESOS", "linux_info": {"share_cgroups": false}});
        let image = json!({"type": "DOCKER", "docker": {"name": "x"}});
        let image = json!({"type": "MESOS", "mesos": {"image": image}});
        for (asked, status, problem) in [
            (output("nobody"), 404, "Container nobody cannot be found"),
            (output(&plain), 400, "without a terminal"),
            (output(&format!("{plain}/past")), 500, "is not known here"),
            (session("c", "true"), 400, "container_id.parent is not set"),
            (session("nowhere/c", "true"), 404, "Container nowhere cannot be found"),
            (with("command", json!({})), 400, "session.command.value is missing"),
            (with("container", unshared), 400, "session.container.linux_info.share_cgroups"),
            (with("container", image), 400, "image"),
            (json!({"type": "ATTACH_CONTAINER_OUTPUT"}), 400, "attach_container_output is not set"),
            (json!({"type": "GET_HEALTH"}), 406, "no stream of GET_HEALTH"),
        ] {
            let (code, body) = refused(asked.clone()).await;
            assert!(code == status && body.contains(problem), "{asked}: {code} {body}");
        }
        let input = Input::to(site, &id(&plain), Encoding::Json).answer().await;
        assert_eq!(input.status.as_u16(), 400, "{}", input.body);
        assert!(input.body.contains("without a terminal"), "{}", input.body);
        let input = Input::bare(site, Encoding::Json).end().await;
        assert!(input.body.contains("before its first record"), "{}", input.body);
        let other = Input::bare(site, Encoding::Json);
        other.call(&json!({"type": "GET_HEALTH"}));
        assert_eq!(other.answer().await.status.as_u16(), 415);
        let early = Input::bare(site, Encoding::Json);
        early.message(&json!({}));
        assert!(early.answer().await.body.contains("first record is not CONTAINER_ID"));

        let line = "exec sleep 1000";
        let task = TaskInfo { container: Some(terminal(24, 80)), ..shell("tty", line) };
        let task = run(&mut peer, task).await;
        let input = Input::to(site, &id(&task), Encoding::Json);
        input.message(&json!({"type": "DATA", "data": {"type": "STDERR", "data": ""}}));
        let answer = input.answer().await;
        assert_eq!(answer.status.as_u16(), 400);
        let problem = "attach_container_input.process_io.data.type is not STDIN";
        assert_eq!(answer.body, problem);
    });
}
