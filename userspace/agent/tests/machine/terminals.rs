//! Tasks on a terminal.

use std::fs;

use muster_api::mesos::tty_info::WindowSize;
use muster_api::mesos::{ContainerInfo, TaskInfo, TaskState, TtyInfo, container_info};

use super::groups::{launch, running};
use super::master::Master;
use super::site::{eventually, on_site};
use super::tasks::shell;

/// Those of a task on a terminal.
pub(crate) fn terminal(rows: u32, columns: u32) -> ContainerInfo {
    ContainerInfo {
        r#type: container_info::Type::Mesos.into(),
        tty_info: Some(TtyInfo { window_size: Some(WindowSize { rows, columns }) }),
        ..ContainerInfo::default()
    }
}

#[test]
fn a_task_has_a_terminal_of_the_size_that_it_wants() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let task = |id: &str, line: &str| TaskInfo {
            container: Some(terminal(33, 77)),
            ..shell(id, line)
        };
        peer.launch(task("t", "tty; stty size"));
        let ended = peer.end().await;
        assert_eq!(ended.state(), TaskState::TaskFinished, "{ended:?}");
        assert_eq!(site.read("t", "stdout"), "/dev/pts/0\r\n33 77\r\n");

        // The same in a container that is nested in its executor's.
        launch(&peer, vec![task("n", "stty size; exec sleep 1000")], true);
        let id = running(&mut peer, 1).await.remove(0).container_status.unwrap().container_id;
        let sandbox = site.sandbox("pods").join("containers").join(id.unwrap().value);
        eventually("the task has said what it sees", || {
            fs::read_to_string(sandbox.join("stdout")).is_ok_and(|said| said == "33 77\r\n")
        })
        .await;
        peer.launch(TaskInfo { container: Some(terminal(1 << 16, 1)), ..shell("bad", "true") });
        let refused = peer.expect(TaskState::TaskError).await;
        assert!(refused.message().contains("container.tty_info.window_size.rows"), "{refused:?}");
    });
}
