//! Text and JSON.

use muster_resources::{Problem, Range, Resource, Resources, Value};

use crate::{cpus, of, resource, resources};

#[test]
fn parsing() {
    let parsed = resources("cpus:45.55;ports:[10000-20000, 30000-50000];disks:{sda1}");
    assert!((cpus(&parsed) - 45.55).abs() < f64::EPSILON);
    let ports = parsed.ranges("ports");
    let ranges = [(10_000, 20_000), (30_000, 50_000)].map(|(begin, end)| Range { begin, end });
    assert_eq!(ports.as_slice(), ranges);
    assert_eq!(parsed.items("disks").iter().collect::<Vec<_>>(), ["sda1"]);
    let mut sum = of(resource("cpus:45.55"));
    sum.add(resource("ports:[10000-20000, 30000-50000]"));
    sum.add(resource("disks:{sda1}"));
    assert_eq!(parsed, sum);
}

#[test]
fn parsing_with_roles() {
    let parsed = resources("cpus(role1):2.5;ports(role2):[0-100]");
    let roles: Vec<_> = parsed.iter().map(Resource::reservation_role).collect();
    assert_eq!(roles, [Some("role1"), Some("role2")]);
    assert_eq!(parsed, Resources::parse_for("cpus:2.5;ports(role2):[0-100]", "role1").unwrap());
    let both = resources("cpus(role1):2;mem(role1):3");
    assert_eq!(both.reserved_to("role1"), both);
}

#[test]
fn parse_error() {
    for (text, problem) in [
        ("cpus(role1)", Problem::Colon),
        ("cpus:1:2", Problem::Colon),
        ("cpus(role1:1", Problem::Parentheses),
        ("cpus)(role1:1", Problem::Parentheses),
        ("cpus(role1)x:1", Problem::Parentheses),
        ("cpus)role1:1", Problem::Parentheses),
        (":1", Problem::NoName),
        ("(role1):1", Problem::NoName),
        ("cpus:one", Problem::Value("one".to_owned())),
        ("cpus:inf", Problem::Value("inf".to_owned())),
        ("cpus:-1", Problem::Negative("-1".to_owned())),
        ("ports:[1-x]", Problem::Range("1-x".to_owned())),
        ("ports:[2-1]", Problem::Inverted { begin: 2, end: 1 }),
        ("foo(role1):1;foo(role2):[0-1]", Problem::MixedTypes("foo".to_owned())),
    ] {
        assert_eq!(Resources::parse(text).unwrap_err().problem, problem, "{text}");
    }
    let error = Resources::parse("cpus:1; mem(a b):2").unwrap_err();
    assert_eq!(error.place, "\"mem(a b):2\"");
    assert!(matches!(error.problem, Problem::Role { .. }));
}

#[test]
fn parsing_from_json() {
    let plain = resources("cpus:2;mem:3");
    assert_eq!(Resources::from_json_value(&plain.to_json()).unwrap(), plain);
    let text = r#"[
      { "name": "cpus", "type": "SCALAR", "scalar": { "value": 45.55 } },
      { "name": "ports", "type": "RANGES",
        "ranges": { "range": [ { "begin": 10000, "end": 20000 }, { "begin": 30000, "end": 50000 } ] } },
      { "name": "pandas", "type": "SET", "set": { "item": [ "lun_lun", "yang_yang" ] } }
    ]"#;
    let expected =
        resources("cpus:45.55;ports:[10000-20000, 30000-50000];pandas:{yang_yang, lun_lun}");
    assert_eq!(resources(text), expected);
    assert_eq!(resources(&text.replace('\n', "")), expected);
}

#[test]
fn parsing_from_json_with_roles() {
    let cpus1 = resources(
        r#"[{ "name": "cpus", "type": "SCALAR", "scalar": { "value": 45.55 },
              "reservations": [ { "type": "STATIC", "role": "role1" } ] }]"#,
    );
    let cpus2 = resources(
        r#"[{ "name": "cpus", "type": "SCALAR", "scalar": { "value": 54.44 },
              "reservations": [ { "type": "STATIC", "role": "role2" } ] }]"#,
    );
    let sum = cpus2 + &cpus1 + &cpus1;
    assert!(sum.contains(&cpus1));
    assert_eq!(sum.scalar("cpus").to_string(), "145.54");
    assert_eq!(sum.reserved_to("role1").to_string(), "cpus(role1):91.1");
    assert_eq!(sum.reserved_to("role2").to_string(), "cpus(role2):54.44");
    let text = r#"[
      { "name": "ports", "type": "RANGES", "ranges": { "range": [ { "begin": 1, "end": 2 } ] },
        "role": "role1" },
      { "name": "pandas", "type": "SET", "set": { "item": [ "lun_lun", "yang_yang" ] } }
    ]"#;
    let mixed = Resources::parse_for(text, "panda_liaison").unwrap();
    assert_eq!(mixed.to_string(), "ports(role1):[1-2];pandas(panda_liaison):{lun_lun, yang_yang}");
}

#[test]
fn parsing_from_json_error() {
    let set = r#"{ "name": "pandas", "type": "SET", "set": { "item": [ "bai_yun", "gao_gao" ] } }"#;
    for text in [
        set.to_owned(),                                        // no array
        format!("[{set} {set}]"),                              // no comma
        format!("[{}]", set.replace("\", \"", "\" \"")),       // no comma within the set
        format!("[[{set}]]"),                                  // an array of arrays
        format!("{set},{set}"),                                // no brackets
        format!("[{set}] once upon a time there was a panda"), // something behind
        format!("[{}]", set.replace(']', "}")),                // wrong bracket
        format!("[{}]", set.replace(r#""type": "SET","#, "")), // no type
        format!("[{}]", set.replace("pandas", "")),            // no name
        format!("[{}]", set.replace("SET", "FLOATINGPOINT")),  // no such type
        format!("[{}]", set.replace(r#""name""#, r#""nom""#)), // no such field
        r#"[{ "name": "panda_power", "type": "SCALAR", "scalar": { "value": -1 } }]"#.to_owned(),
        format!(
            r#"[{set}, {{ "name": "pandas", "type": "SCALAR", "scalar": {{ "value": 14 }} }}]"#
        ),
        r#"[{ "name": "disk", "type": "SCALAR", "scalar": { "value": 2048 },
              "disk": { "persistence": { "id": "persistent_volume_1" },
                        "volume": { "container_path": "/persist", "mode": "RW" } } }]"#
            .to_owned(),
        r#"[{ "name": "disk", "type": "SCALAR", "scalar": { "value": 2048 },
              "reservations": [ { "type": "DYNAMIC", "role": "r", "principal": "p" } ] }]"#
            .to_owned(),
        r#"[{ "name": "cpus", "type": "SCALAR", "scalar": { "value": 54.44 }, "role": "role2",
              "revocable": {} }]"#
            .to_owned(),
    ] {
        assert!(Resources::parse(&text).is_err(), "{text}");
    }
    let error =
        Resources::parse(r#"[{"name": "cpus", "type": "SCALAR", "scalar": {"value": "1"}}]"#);
    assert_eq!(error.unwrap_err().place, "resources[0].scalar.value");
}

#[test]
fn resources_resources() {
    let all = resources("cpus:45.55;mem:1024;ports:[10000-20000, 30000-50000];disk:512");
    assert_eq!(all.scalar("cpus").to_string(), "45.55");
    assert_eq!(all.scalar("mem").to_string(), "1024");
    assert_eq!(all.scalar("disk").to_string(), "512");
    assert_eq!(all.ranges("ports").to_string(), "[10000-20000, 30000-50000]");
    let some = resources("cpus:45.55;disk:512");
    assert!(some.scalar("mem").is_zero());
    assert!(some.ranges("ports").is_empty());
}

#[test]
fn move_construction() {
    let all = resources("cpus:45.55;mem:1024;ports:[10000-20000, 30000-50000];disk:512");
    assert_eq!(all.clone().into_iter().collect::<Resources>(), all);
    assert_eq!(Resources::from_proto(&all.to_proto()).unwrap(), all);
}

#[test]
fn initialized_is_empty() {
    assert!(Resources::default().is_empty());
}

#[test]
fn bad_resources_not_allocatable() {
    let mut message = resource("cpus:1").to_proto();
    message.name = String::new();
    assert_eq!(Resources::from_proto(&[message.clone()]).unwrap_err().problem, Problem::NoName);
    message.name = "cpus".to_owned();
    message.scalar.as_mut().unwrap().value = 0.0;
    assert!(Resources::from_proto(&[message]).unwrap().is_empty());
}

#[test]
fn absent_resources() {
    assert!(resources("gpus:0").is_empty());
}

#[test]
fn very_small_value() {
    let error = Resources::parse("cpus:0.00001").unwrap_err();
    assert_eq!(error.problem, Problem::TooSmall("0.00001".to_owned()));
    let mut message = resource("cpus:1").to_proto();
    message.scalar.as_mut().unwrap().value = 0.000_01;
    let error = Resources::from_proto(&[message]).unwrap_err();
    assert_eq!(error.place, "resources[0].scalar");
    assert!(matches!(error.problem, Problem::TooSmall(_)));
}

#[test]
fn empty_unequal() {
    assert_ne!(resources(""), resources("cpus:2"));
}

#[test]
fn get() {
    let cpus = resources("cpus(role1):2;cpus:4");
    let mem = resources("mem(role1):10;mem:10");
    let both = cpus.clone() + &mem;
    assert_eq!(both.named(&"cpus".into()).cloned().collect::<Resources>(), cpus);
    assert_eq!(both.named(&"mem".into()).cloned().collect::<Resources>(), mem);
}

#[test]
fn names() {
    let names: Vec<String> = resources("cpus(role1):2;cpus:4;mem(role1):10;mem:10")
        .names()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["cpus", "mem"]);
}

#[test]
fn types() {
    let all = resources("cpus(role1):2;cpus:4;ports:[1-10];ports:[11-20]");
    assert!(all.iter().filter(|r| *r.name() == *"cpus").all(Resource::is_scalar));
    let ports: Vec<_> = all.iter().filter(|r| *r.name() == *"ports").collect();
    assert!(matches!(ports[..], [ports] if matches!(ports.value(), Value::Ranges(_))));
}

/// Both versions of Mesos' messages are one here; a round trip stands for the conversion.
#[test]
fn evolve() {
    let all = resources("cpus(role1):2;mem(role1):10;cpus:4;mem:20");
    assert_eq!(Resources::from_proto(&all.to_proto()).unwrap(), all);
}
