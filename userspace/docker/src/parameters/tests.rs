use super::*;

fn body(list: &[(&str, &str)]) -> ContainerCreateBody {
    let mut body = ContainerCreateBody::default();
    let list = list.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    Parameters::new(list).unwrap().apply(&mut body);
    body
}

fn refused(key: &str, value: &str) -> String {
    Parameters::new(vec![(key.into(), value.into())]).unwrap_err().to_string()
}

#[test]
fn flags_become_fields_of_the_request() {
    let body = body(&[
        ("env", "A=b=c"),
        ("env", "B="),
        ("label", "team=x"),
        ("label", "bare"),
        ("user", "1000:1000"),
        ("workdir", "/w"),
        ("shm-size", "16m"),
        ("memory-swap", "-1"),
        ("ulimit", "nofile=10:20"),
        ("ulimit", "core=-1"),
        ("device", "/dev/null:/dev/x:r"),
        ("tmpfs", "/t:size=1m"),
        ("sysctl", "net.core.somaxconn=7"),
        ("log-driver", "json-file"),
        ("log-opt", "max-size=1m"),
        ("init", "true"),
        ("read-only", "1"),
        ("cap-add", "NET_ADMIN"),
        ("oom-kill-disable", "true"),
        ("cgroupns", "host"),
        ("gpus", "device=0"),
        ("blkio-weight-device", "/dev/vda:200"),
        ("mount", "type=tmpfs,target=/m"),
        ("ip", "10.9.0.7"),
        ("ip6", "fd00::7"),
        ("network-alias", "db"),
        ("network-alias", "store"),
    ]);
    let networks = body.networking_config.unwrap().endpoints_config.unwrap();
    let (endpoint, addresses) = (&networks[""], networks[""].ipam_config.clone().unwrap());
    assert_eq!(endpoint.aliases.as_deref().unwrap(), ["db", "store"]);
    assert_eq!(addresses.ipv4_address.as_deref(), Some("10.9.0.7"));
    assert_eq!(addresses.ipv6_address.as_deref(), Some("fd00::7"));
    assert_eq!(body.env.unwrap(), ["A=b=c", "B="]);
    let labels = body.labels.unwrap();
    assert_eq!((labels["team"].as_str(), labels["bare"].as_str()), ("x", ""));
    assert_eq!(
        (body.user.as_deref(), body.working_dir.as_deref()),
        (Some("1000:1000"), Some("/w"))
    );
    let host = body.host_config.unwrap();
    assert_eq!((host.shm_size, host.memory_swap), (Some(16 << 20), Some(-1)));
    let limits = host.ulimits.unwrap();
    assert_eq!((limits[0].soft, limits[0].hard, limits[1].hard), (Some(10), Some(20), Some(-1)));
    assert_eq!(host.devices.unwrap()[0].path_in_container.as_deref(), Some("/dev/x"));
    assert_eq!(host.tmpfs.unwrap()["/t"], "size=1m");
    assert_eq!(host.sysctls.unwrap()["net.core.somaxconn"], "7");
    let log = host.log_config.unwrap();
    assert_eq!(
        (log.typ.as_deref(), log.config.unwrap()["max-size"].as_str()),
        (Some("json-file"), "1m")
    );
    assert_eq!((host.init, host.readonly_rootfs), (Some(true), Some(true)));
    assert_eq!(host.cap_add.unwrap(), ["NET_ADMIN"]);
    assert_eq!(host.oom_kill_disable, Some(true));
    assert_eq!(host.cgroupns_mode.unwrap().to_string(), "host");
    assert_eq!(host.device_requests.unwrap()[0].device_ids.as_deref().unwrap(), ["0"]);
    assert_eq!(host.blkio_weight_device.unwrap()[0].weight, Some(200));
    assert_eq!(host.mounts.unwrap()[0].target.as_deref(), Some("/m"));
}

#[test]
fn a_flag_that_cannot_be_had_is_refused_by_name() {
    for (key, value, problem) in [
        ("frobnicate", "1", "[0] frobnicate is no flag of docker run that this agent supports"),
        ("name", "x", "[0] name is set by the agent"),
        (
            "publish",
            "80:80",
            "[0] publish is set by the agent: give container.docker.port_mappings",
        ),
        ("memory", "1g", "[0] memory is set by the agent"),
        ("label", "muster.agent=x", "[0] label=muster.agent=x must have a name, and none that"),
        ("ulimit", "nofile", "[0] ulimit=nofile must be NAME=SOFT"),
        ("shm-size", "much", "[0] shm-size=much must be a size"),
        ("shm-size", "9999999t", "[0] shm-size=9999999t must be a size"),
        ("init", "yes", "[0] init=yes must be true or false"),
        ("device", "null", "[0] device=null must be PATH"),
        ("dns", "here", "[0] dns=here must be an IP address"),
        ("ipc", "container:", "[0] ipc=container: must be one of"),
        ("volume", "/only", "[0] volume=/only must be"),
        ("tmpfs", "t", "[0] tmpfs=t must be"),
        ("env", "=x", "[0] env==x must be NAME=VALUE"),
        ("add-host", "h", "[0] add-host=h must be NAME:ADDRESS"),
        ("expose", "0", "[0] expose=0 must be PORT"),
        ("cgroupns", "own", "[0] cgroupns=own must be host or private"),
        ("gpus", "0", "[0] gpus=0 must be all, a number, or device=ID"),
        ("gpus", "2,device=1", "[0] gpus=2,device=1 must be all, a number"),
        (
            "blkio-weight-device",
            "/dev/vda:9",
            "[0] blkio-weight-device=/dev/vda:9 must be PATH:WEI",
        ),
        ("mount", "type=bind", "[0] mount=type=bind must have target="),
        ("ip", "fd00::7", "[0] ip=fd00::7 must be an IPv4 address"),
        ("ip6", "10.0.0.1", "[0] ip6=10.0.0.1 must be an IPv6 address"),
    ] {
        let error = refused(key, value);
        assert!(error.starts_with(problem), "{error}");
    }
    let second = Parameters::new(vec![("init".into(), "1".into()), ("x".into(), "1".into())]);
    assert_eq!(second.unwrap_err().index, 1);
}
