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
    ]);
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
    ] {
        let error = refused(key, value);
        assert!(error.starts_with(problem), "{error}");
    }
    let second = Parameters::new(vec![("init".into(), "1".into()), ("x".into(), "1".into())]);
    assert_eq!(second.unwrap_err().index, 1);
}
