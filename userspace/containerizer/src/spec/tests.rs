use super::*;

fn spec() -> ContainerSpec {
    ContainerSpec {
        id: "c-1".into(),
        image: Some("busybox".into()),
        command: Some(CommandSpec::Shell("true".into())),
        environment: vec![("A".into(), "1".into())],
        sandbox: "/tmp".into(),
        ..ContainerSpec::default()
    }
}

fn refused(change: impl FnOnce(&mut ContainerSpec)) -> String {
    let mut spec = spec();
    change(&mut spec);
    spec.validate().unwrap_err().to_string()
}

#[test]
fn takes_a_plain_one() {
    spec().validate().unwrap();
}

#[test]
fn refuses_by_the_name_of_the_field() {
    assert!(refused(|s| s.id = "../x".into()).starts_with("id:"));
    assert!(refused(|s| s.id = ".tmp".into()).starts_with("id:"));
    assert!(refused(|s| s.id = "x".repeat(243)).starts_with("id:"));
    assert!(refused(|s| s.sandbox = "/nowhere/at/all".into()).starts_with("sandbox:"));
    assert!(refused(|s| s.hostname = Some("a b".into())).starts_with("hostname:"));
    assert!(refused(|s| s.command = Some(CommandSpec::Argv(vec![]))).starts_with("command:"));
    assert!(refused(|s| s.args = vec!["x".into()]).starts_with("args:"));
    assert!(refused(|s| (s.image, s.command) = (None, None)).starts_with("command:"));
    assert!(refused(|s| s.environment[0].0 = "A=B".into()).starts_with("environment:"));
    let secret = || ("A\0".to_owned(), Secret::new("x".into()));
    assert!(refused(|s| s.secrets = vec![secret()]).starts_with("secrets:"));
    assert!(refused(|s| s.resources.mem_bytes = u64::MAX).starts_with("resources.mem_bytes:"));
}

#[test]
fn a_shell_line_is_one_argument() {
    assert_eq!(CommandSpec::Shell("a; b".into()).argv(), ["/bin/sh", "-c", "a; b"]);
}
