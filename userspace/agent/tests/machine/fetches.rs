//! Files of tasks, told while they are fetched.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use muster_api::mesos::command_info::Uri;
use muster_api::mesos::{TaskInfo, TaskState};

use super::master::Master;
use super::site::on_site;
use super::tasks::shell;

/// A server that gives part of a file, and the rest when it is told to; its URI.
fn server(part: usize, whole: usize) -> (String, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/file", listener.local_addr().unwrap());
    let (go, gone) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {whole}\r\n\r\n").unwrap();
        stream.write_all(&vec![b'x'; part]).unwrap();
        gone.recv().unwrap();
        stream.write_all(&vec![b'x'; whole - part]).unwrap();
    });
    (uri, go)
}

#[test]
fn a_fetch_is_told_while_it_lasts() {
    on_site(async |site| {
        let (uri, go) = server(1_500_000, 4_000_000);
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let mut task: TaskInfo = shell("t", "wc -c < file && sleep 1000");
        let uris = &mut task.command.as_mut().unwrap().uris;
        uris.push(Uri { value: uri.clone(), ..Default::default() });
        peer.launch(task);
        let status = peer.expect(TaskState::TaskStarting).await;
        assert_eq!(status.message, None);
        let expected = format!("Fetching '{uri}' (1 of 1): 1.5 of 4.0 MB");
        while peer.expect(TaskState::TaskStarting).await.message() != expected {}
        go.send(()).unwrap();
        let running = peer.end_or_run().await;
        assert_eq!((running.state(), running.message), (TaskState::TaskRunning, None));
    });
}
