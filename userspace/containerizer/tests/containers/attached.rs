//! Terminals, and being attached to a container's streams.

use std::fs;

use muster_containerizer::{
    Attachment, ContainerSpec, Error, Input, Kind, Stream, Termination, WindowSize,
};

use super::world::World;

const SIZE: WindowSize = WindowSize { rows: 24, columns: 80 };

impl World {
    /// Reads until `text` has come, from anywhere; what has come in all.
    fn read_until(&self, attachment: &Attachment, text: &str) -> String {
        self.run(async {
            let mut all = String::new();
            while !all.contains(text) {
                let output = attachment.output().await.unwrap();
                let output = output.unwrap_or_else(|| panic!("ended after {all}"));
                all.push_str(&String::from_utf8(output.data).unwrap());
            }
            all
        })
    }

    /// All that comes to the end, from standard output and from standard error.
    fn read_to_end(&self, attachment: &Attachment) -> [String; 2] {
        self.run(async {
            let mut all = [String::new(), String::new()];
            while let Some(output) = attachment.output().await.unwrap() {
                let text = String::from_utf8(output.data).unwrap();
                all[usize::from(output.stream == Stream::Errors)].push_str(&text);
            }
            all
        })
    }

    fn give(&self, attachment: &Attachment, input: &Input) {
        self.run(attachment.input(input)).unwrap();
    }

    fn type_in(&self, attachment: &Attachment, text: &str) {
        self.give(attachment, &Input::Data(text.into()));
    }
}

#[test]
fn a_terminal_is_the_commands_own() {
    let Some(mut world) = World::new() else { return };
    let line = "tty; stty size; ls -l /dev/pts/0 | cut -c1-10; 
        while read x; do echo got $x $(stty size); done; echo end; exit 4";
    let spec = ContainerSpec { tty: Some(SIZE), ..world.shell("c", line) };
    let (_, first) = world.run(world.containerizer().launch_attached(spec)).unwrap();
    let begin = world.read_until(&first, "crw--w----\r\n");
    assert_eq!(begin, "/dev/pts/0\r\n24 80\r\ncrw--w----\r\n");
    world.give(&first, &Input::WindowSize(WindowSize { rows: 50, columns: 132 }));
    world.type_in(&first, "a\n");
    // The terminal echoes.
    world.read_until(&first, "got a 50 132\r\n");
    // It is held by the helper, and not by the agent.
    world.restart();
    world.run(world.containerizer().recover()).unwrap();
    let second = world.run(async { world.containerizer().attach("c") }).unwrap();
    world.type_in(&second, "b\n");
    assert!(
        world.read_until(&second, "got b 50 132\r\n").starts_with("b\r\n"),
        "only what comes now"
    );
    world.read_until(&first, "got b 50 132\r\n");
    world.give(&second, &Input::End);
    assert!(world.read_to_end(&second)[0].ends_with("end\r\n"));
    assert_eq!(world.wait("c"), Termination::Exited(4));
    let log = world.stdout("c");
    assert!(log.starts_with(&begin) && log.ends_with("end\r\n"), "{log}");
    assert_eq!(fs::read_to_string(world.sandbox("c").join("stderr")).unwrap(), "");
}

#[test]
fn a_terminal_is_another_users_too() {
    let Some(world) = World::new() else { return };
    let line = "id -u; echo to-terminal >/dev/tty; echo again >$(tty)";
    let spec =
        ContainerSpec { tty: Some(SIZE), user: Some("1000:1000".into()), ..world.shell("c", line) };
    let (termination, output) = world.finish(spec);
    assert_eq!(termination, Termination::Exited(0), "{output}");
    assert_eq!(output, "1000\r\nto-terminal\r\nagain\r\n");
}

#[test]
fn streams_without_a_terminal_are_kept_apart() {
    let Some(world) = World::new() else { return };
    let line = "echo first; echo error >&2; cat; echo last; exit 5";
    let spec = ContainerSpec { attach: true, ..world.shell("c", line) };
    let (_, attachment) = world.run(world.containerizer().launch_attached(spec)).unwrap();
    world.type_in(&attachment, "some ");
    world.type_in(&attachment, "input\n");
    world.give(&attachment, &Input::End);
    let [output, errors] = world.read_to_end(&attachment);
    assert_eq!((output.as_str(), errors.as_str()), ("first\nsome input\nlast\n", "error\n"));
    assert_eq!(world.wait("c"), Termination::Exited(5));
    assert_eq!(world.stdout("c"), output);
    assert_eq!(fs::read_to_string(world.sandbox("c").join("stderr")).unwrap(), errors);
    let error = world.containerizer().attach("c").unwrap_err();
    assert!(matches!(error, Error::NotRunning { .. }), "{error}");
    world.launch(world.shell("d", "exec sleep 1000")).unwrap();
    let error = world.containerizer().attach("d").unwrap_err();
    assert!(matches!(error, Error::NotAttachable { .. }), "{error}");
}

#[test]
fn more_input_than_anybody_takes_waits() {
    let Some(world) = World::new() else { return };
    let line = "until [ -e $MESOS_SANDBOX/go ]; do sleep 0.01; done; wc -c";
    let spec = ContainerSpec { attach: true, ..world.shell("c", line) };
    let (_, attachment) = world.run(world.containerizer().launch_attached(spec)).unwrap();
    let go = world.sandbox("c").join("go");
    let sent = world.run(async {
        let data = Input::Data(vec![b'x'; 3_000_000]);
        let mut sending = std::pin::pin!(attachment.input(&data));
        let early = std::time::Duration::from_millis(200);
        let early = tokio::time::timeout(early, &mut sending).await;
        assert!(early.is_err(), "it is buffered without end");
        fs::write(&go, "").unwrap();
        sending.await.unwrap();
        attachment.input(&Input::End).await
    });
    sent.unwrap();
    assert_eq!(world.read_to_end(&attachment)[0], "3000000\n");
}

#[test]
fn who_does_not_read_holds_nobody_up() {
    let Some(world) = World::new() else { return };
    let line = "head -c 5000000 /dev/zero | tr '\\0' x; echo end >&2; exec sleep 1000";
    let spec = ContainerSpec { attach: true, ..world.shell("c", line) };
    let (_, _idle) = world.run(world.containerizer().launch_attached(spec)).unwrap();
    let errors = world.sandbox("c").join("stderr");
    world.await_that("it has written all", || fs::read_to_string(&errors).unwrap() == "end\n");
    assert_eq!(fs::metadata(world.sandbox("c").join("stdout")).unwrap().len(), 5_000_000);
}

#[test]
fn a_session_in_a_container() {
    let Some(world) = World::new() else { return };
    world.launch(world.shell("p", "echo inside >/state; exec sleep 1000")).unwrap();
    let session = ContainerSpec {
        kind: Kind::Debug,
        parent: Some("p".into()),
        image: None,
        sandbox: "".into(),
        tty: Some(SIZE),
        ..world.shell("s", "exec sh")
    };
    let (_, session) = world.run(world.containerizer().launch_attached(session)).unwrap();
    world.type_in(&session, "cat /state; echo $(tty)-; exit 3\n");
    assert!(world.read_to_end(&session)[0].contains("inside\r\n/dev/pts/0-\r\n"));
    assert_eq!(world.wait("p/s"), Termination::Exited(3));
    world.run(world.containerizer().destroy("p")).unwrap();
    assert!(world.leftovers().is_empty());
}
