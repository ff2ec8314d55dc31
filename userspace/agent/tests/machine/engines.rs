//! What a real Docker engine is asked for beside running: volumes, networks, pulls with
//! passwords, and other resources for what runs.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use muster_api::mesos::container_info::DockerInfo;
use muster_api::mesos::container_info::docker_info::{Network, PortMapping};
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::volume::source::{self, DockerVolume};
use muster_api::mesos::volume::{self, Source};
use muster_api::mesos::{NetworkInfo, Parameter, Parameters, TaskInfo, TaskState, Volume};
use muster_containerizer::{Fetching, Files, Limit, Logger, Registries, Resources, Termination};
use muster_docker::{Container, Docker};
use serde_json::json;

use super::docker::{docker, engine, image, ports, with};
use super::dockerd::{Dockerd, IMAGE};
use super::http::get;
use super::master::Master;
use super::site::{Site, eventually, in_time, on_site};
use super::tasks::grace;

/// A volume of the engine, by its driver `local`.
fn named(name: &str, mode: volume::Mode) -> Volume {
    let option = Parameter { key: "o".into(), value: "size=1m".into() };
    let more = ["type", "device"].map(|key| Parameter { key: key.into(), value: "tmpfs".into() });
    let parameter = [option].into_iter().chain(more).collect();
    let docker_volume = DockerVolume {
        driver: Some("local".into()),
        name: name.into(),
        driver_options: Some(Parameters { parameter }),
    };
    let source = Source {
        r#type: Some(source::Type::DockerVolume.into()),
        docker_volume: Some(docker_volume),
        ..Source::default()
    };
    Volume {
        mode: mode.into(),
        container_path: "/kept".into(),
        source: Some(source),
        ..Volume::default()
    }
}

fn given(mut task: TaskInfo, volume: Volume) -> TaskInfo {
    task.container.as_mut().unwrap().volumes.push(volume);
    task
}

#[test]
fn tasks_share_a_volume_that_the_engine_keeps_by_its_driver_and_options() {
    on_site(async |site| {
        let engine = engine(site).await;
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let volume = || named("muster-kept", volume::Mode::Rw);
        // The volume is there for as long as somebody has it mounted.
        let holder =
            "echo seen > /kept/file; echo up; trap 'exit 0' TERM; while :; do sleep 0.1; done";
        peer.run(given(docker("a", holder), volume())).await;
        eventually("it is written", || !site.read("a", "stdout").is_empty()).await;
        let options =
            engine.docker(&["volume", "inspect", "--format", "{{json .Options}}", "muster-kept"]);
        assert!(options.contains("size=1m"), "{options}");
        let line = "cat /kept/file; head -c 2000000 /dev/zero > /kept/big && exit 9; exit 0";
        peer.launch(given(docker("b", line), volume()));
        let status = peer.end().await;
        assert_eq!(status.state(), TaskState::TaskFinished, "{status:?}");
        assert_eq!(site.read("b", "stdout"), "seen\n");
        let line = "cat /kept/file && ! echo no > /kept/other";
        peer.launch(given(docker("c", line), named("muster-kept", volume::Mode::Ro)));
        assert_eq!(peer.end().await.state(), TaskState::TaskFinished);
        peer.kill("a", Some(grace(0)));
        peer.end().await;
        eventually("the containers are gone", || engine.containers().is_empty()).await;
        // What it holds outlives the tasks.
        engine.docker(&["volume", "rm", "muster-kept"]);
    });
}

#[test]
fn tasks_find_each_other_in_a_network_that_was_made_for_them() {
    on_site(async |site| {
        let engine = engine(site).await;
        let subnet = ["network", "create", "--subnet", "10.99.7.0/24", "muster-net"];
        engine.docker(&subnet);
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let user = |ports| DockerInfo {
            network: Some(Network::User.into()),
            port_mappings: ports,
            ..image()
        };
        let network = NetworkInfo { name: Some("muster-net".into()), ..NetworkInfo::default() };
        let within = |mut task: TaskInfo| {
            task.container.as_mut().unwrap().network_infos.push(network.clone());
            task
        };
        let mapping = PortMapping { host_port: 31007, container_port: 80, protocol: None };
        let serve = "cd $MESOS_SANDBOX; echo hello > index.html; exec httpd -f -p 80";
        let mut server = within(with("web", serve, user(vec![mapping])));
        server.resources.push(ports(31007));
        let status = peer.run(server).await;
        let place = status.container_status.unwrap();
        let address = place.network_infos[0].ip_addresses[0].ip_address();
        assert!(address.starts_with("10.99.7."), "{place:?}");
        let id = place.container_id.unwrap().value;
        // By the name that the engine has for it.
        let line = format!(
            "until wget -q -O - http://mesos-{id}/; do sleep 0.1; done; cat /proc/net/fib_trie"
        );
        peer.launch(within(with("client", &line, user(Vec::new()))));
        let status = peer.end().await;
        assert_eq!(status.state(), TaskState::TaskFinished, "{}", site.read("client", "stderr"));
        let said = site.read("client", "stdout");
        assert!(said.starts_with("hello\n") && said.contains("10.99.7.0"), "{said}");
        assert_eq!(get("http://127.0.0.1:31007/").await.body.trim(), "hello");
        peer.kill("web", Some(grace(0)));
        peer.end().await;
        let unknown = NetworkInfo { name: Some("no-such-net".into()), ..NetworkInfo::default() };
        let mut lost = with("lost", "true", user(Vec::new()));
        lost.container.as_mut().unwrap().network_infos.push(unknown);
        peer.launch(lost);
        let status = peer.end().await;
        assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
        assert!(status.message().contains("no-such-net"), "{status:?}");
        eventually("nothing is left of them", || engine.containers().is_empty()).await;
        engine.docker(&["network", "rm", "muster-net"]);
    });
}

/// User `user` with the password `pass`, as bcrypt has it.
const HTPASSWD: &str = "user:$2y$05$abcdefghijklmnopqrstuuZFBUbfXoM8LFiPx8LYlO/sXZB/Cwk3K\n";

/// A registry on loopback that asks for a password.
pub(crate) struct Registry {
    child: Child,
    pub(crate) host: String,
}

impl Registry {
    pub(crate) async fn start(directory: &Path) -> Self {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("htpasswd"), HTPASSWD).unwrap();
        let host = format!("127.0.0.1:{}", Site::free_port());
        let (data, file) = (directory.join("data"), directory.join("htpasswd"));
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '{host}', secret: x}}\nauth: {{htpasswd: {{realm: r, path: {}}}}}\n",
            data.display(),
            file.display()
        );
        fs::write(directory.join("config.yml"), config).unwrap();
        let log = File::create(directory.join("log")).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(directory.join("config.yml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let registry = Self { child, host };
        eventually("the registry answers", || TcpStream::connect(&registry.host).is_ok()).await;
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Puts the engine's image into the registry, and leaves none there of that name.
pub(crate) fn push(engine: &Dockerd, registry: &Registry, name: &str) {
    engine.docker(&["tag", IMAGE, name]);
    engine.docker(&["login", "--username", "user", "--password", "pass", &registry.host]);
    engine.docker(&["push", name]);
    engine.docker(&["logout", &registry.host]);
    engine.docker(&["rmi", name]);
}

#[test]
fn images_are_pulled_with_the_password_that_the_agent_was_given() {
    on_site(async |site| {
        let engine = engine(site).await;
        let registry = Registry::start(&site.path("registry")).await;
        let name = format!("{}/team/tool:1", registry.host);
        push(&engine, &registry, &name);
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let pulled = || DockerInfo { image: name.clone(), ..DockerInfo::default() };
        peer.launch(with("stranger", "true", pulled()));
        let status = peer.end().await;
        assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
        let refused = format!("docker pull {name}: ");
        assert!(status.message().starts_with(&refused), "{status:?}");
        site.written().await;
        assert!(site.stop().success());
        // user:pass
        let auths = json!({"auths": {registry.host.clone(): {"auth": "dXNlcjpwYXNz"}}});
        site.set("docker_config", auths.to_string().into());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.launch(with("known", "echo pulled", pulled()));
        let status = peer.end().await;
        assert_eq!(status.state(), TaskState::TaskFinished, "{status:?}");
        assert_eq!(site.read("known", "stdout"), "pulled\n");
        // The engine has it now. When it is to be asked for again, somebody has to be there.
        let forced = DockerInfo { force_pull_image: Some(true), ..pulled() };
        peer.launch(with("again", "true", forced.clone()));
        assert_eq!(peer.end().await.state(), TaskState::TaskFinished);
        drop(registry);
        peer.launch(with("kept", "true", pulled()));
        assert_eq!(peer.end().await.state(), TaskState::TaskFinished);
        peer.launch(with("late", "true", forced));
        let status = peer.end().await;
        assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
        assert!(status.message().starts_with(&refused), "{status:?}");
    });
}

#[test]
fn what_runs_is_given_other_resources() {
    on_site(async |site| {
        let engine = engine(site).await;
        let sandbox = site.path("sandbox");
        fs::create_dir_all(&sandbox).unwrap();
        let docker = Docker::new(muster_docker::Config {
            agent: site.name().to_owned(),
            socket: engine.socket(),
            runtime_dir: site.path("engine"),
            cgroups_root: format!("muster-agent-test/{}", site.name()),
            remove_delay: Duration::ZERO,
            cfs_quota: true,
            limit_swap: false,
            registries: Registries::default(),
            logger: Logger::default(),
            files: Files::new(Fetching::new(site.path("files")), None).unwrap(),
        })
        .unwrap();
        docker.recover().await.unwrap();
        let mib = 1 << 20;
        let resources = |cpus_milli, mem_bytes, pids_limit| Resources {
            cpus_milli,
            mem_bytes,
            pids_limit,
            ..Resources::default()
        };
        let container = Container {
            id: "updated".into(),
            image: IMAGE.into(),
            args: ["sleep", "100000"].map(Into::into).into(),
            sandbox,
            resources: resources(100, 64 * mib, None),
            ..Container::default()
        };
        docker.launch(container, docker.about().await.unwrap()).await.unwrap();
        // Shares, quota, memory, and most tasks; there are three ways to say that there is none.
        let shown = || {
            let limits = "{{.HostConfig.CpuShares}} {{.HostConfig.CpuQuota}} {{.HostConfig.Memory}} \
                          {{json .HostConfig.PidsLimit}}";
            let shown = engine.docker(&["inspect", "--format", limits, "mesos-updated"]);
            let (limits, tasks) = shown.rsplit_once(' ').unwrap();
            let tasks = if ["null", "0", "-1"].contains(&tasks) { "any" } else { tasks };
            format!("{limits} {tasks}")
        };
        assert_eq!(shown(), format!("102 10000 {} any", 64 * mib));
        docker.update("updated", resources(2000, 128 * mib, None)).await.unwrap();
        assert_eq!(shown(), format!("2048 200000 {} any", 128 * mib));
        let usage = docker.usage("updated").await.unwrap();
        assert_eq!(usage.mem_limit_bytes, Some(128 * mib), "{usage:?}");
        // And less again, with a limit; then with none, which memory cannot be.
        let limit = Some(Limit::At(20));
        docker.update("updated", resources(500, 32 * mib, limit)).await.unwrap();
        assert_eq!(shown(), format!("512 50000 {} 20", 32 * mib));
        let free =
            Resources { cpus_limit: Some(Limit::Infinite), ..resources(500, 32 * mib, None) };
        docker.update("updated", free).await.unwrap();
        assert_eq!(shown(), format!("512 -1 {} any", 32 * mib));
        let free = Resources { mem_limit: Some(Limit::Infinite), ..free };
        let error = docker.update("updated", free).await.unwrap_err().to_string();
        assert!(error.contains("cannot take a memory limit away"), "{error}");
        docker.kill("updated", Duration::ZERO).await.unwrap();
        let ended = in_time("it has ended", docker.wait("updated")).await.unwrap();
        assert_eq!(ended, Termination::Exited(137));
        let error = docker.update("updated", resources(100, 64 * mib, None)).await.unwrap_err();
        assert!(matches!(error, muster_docker::Error::NotRunning { .. }), "{error}");
        docker.destroy_all().await.unwrap();
        docker.remove_cgroups().unwrap();
    });
}
