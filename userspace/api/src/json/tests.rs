use prost::Message;
use serde_json::json;

use super::*;
use crate::mesos::master::{Call, Response, call, response};
use crate::mesos::scheduler;
use crate::mesos::{
    CommandInfo, ContainerId, FrameworkInfo, MachineInfo, Resource, TaskInfo, TaskStatus,
    WeightInfo, value,
};
use crate::muster::{Ping, ViewSnapshot};
use crate::wire;

fn written<M: Message + Name>(message: &M) -> Value {
    serde_json::to_value(Json(message)).unwrap()
}

fn read<M: Message + Name + Default>(value: &Value) -> M {
    from_value(value).unwrap()
}

fn refused<M: Message + Name + Default + std::fmt::Debug>(value: &Value) -> String {
    from_value::<M>(value).unwrap_err().to_string()
}

#[test]
fn names_enums_bytes_and_numbers_are_as_mesos_writes_them() {
    let mut status = TaskStatus {
        task_id: "t".into(),
        uuid: Some(vec![0xfb, 0xff, 0]),
        timestamp: Some(2.0),
        unreachable_time: Some(crate::mesos::TimeInfo { nanoseconds: -(1 << 60) }),
        healthy: Some(false),
        ..TaskStatus::default()
    };
    status.set_state(crate::mesos::TaskState::TaskRunning);
    let text = serde_json::to_string(&Json(&status)).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let wanted = json!({
        "task_id": { "value": "t" },
        "state": "TASK_RUNNING",
        "uuid": "+/8A",
        "timestamp": 2.0,
        "unreachable_time": { "nanoseconds": -(1_i64 << 60) },
        "healthy": false,
    });
    assert_eq!(value, wanted);
    assert!(text.contains("\"timestamp\":2.0"), "{text}");
    assert_eq!(read::<TaskStatus>(&wanted), status);
}

#[test]
fn defaults_are_written_unless_they_are_deprecated() {
    let info = FrameworkInfo { user: "u".into(), name: "n".into(), ..FrameworkInfo::default() };
    assert_eq!(
        written(&info),
        json!({ "user": "u", "name": "n", "failover_timeout": 0.0, "checkpoint": false })
    );
    assert_eq!(written(&CommandInfo::default()), json!({ "shell": true }));
    #[expect(deprecated, reason = "that is what is asked")]
    let with_role = FrameworkInfo { role: Some("*".into()), ..info };
    assert_eq!(written(&with_role)["role"], "*");
    assert_eq!(written(&crate::mesos::environment::Variable::default())["type"], "VALUE");
}

#[test]
fn maps_are_objects_and_lists_arrays() {
    let value = json!({
        "type": "UPDATE_QUOTA",
        "update_quota": {
            "force": true,
            "quota_configs": [
                { "role": "a", "guarantees": { "cpus": { "value": 1.5 }, "mem": { "value": 0.0 } } },
                { "role": "b" },
            ],
        },
    });
    let call: Call = read(&value);
    assert_eq!(call.r#type(), call::Type::UpdateQuota);
    let configs = &call.update_quota.as_ref().unwrap().quota_configs;
    assert_eq!(configs[0].guarantees["cpus"], value::Scalar { value: 1.5 });
    assert_eq!(configs.len(), 2);
    assert_eq!(written(&call), value);
}

#[test]
fn what_is_not_known_or_null_is_as_if_it_was_not_there() {
    let info: WeightInfo =
        read(&json!({ "weight": 2, "role": null, "colour": { "of": ["money"] } }));
    assert_eq!(info, WeightInfo { weight: 2.0, role: None });
    let call: Call = read(&json!({ "type": "NO_SUCH_CALL" }));
    assert_eq!(call.r#type, None);
}

#[test]
fn numbers_and_booleans_may_be_strings_and_one_value_a_list() {
    let info: WeightInfo = read(&json!({ "weight": "2.5" }));
    assert_eq!(info, WeightInfo { weight: 2.5, role: None });
    let info: WeightInfo = read(&json!({ "weight": "Infinity" }));
    assert_eq!(info, WeightInfo { weight: f64::INFINITY, role: None });
    assert_eq!(written(&info)["weight"], "Infinity");
    let call: Call = read(&json!({
        "update_quota": { "force": "true", "quota_configs": { "role": "a" } },
    }));
    let update = call.update_quota.unwrap();
    assert_eq!((update.force, update.quota_configs.len()), (Some(true), 1));
    let call: Call = read(&json!({ "read_file": { "path": "/", "offset": u64::MAX } }));
    assert_eq!(call.read_file.unwrap().offset, u64::MAX);
    let call: Call = read(&json!({ "read_file": { "path": "/", "offset": 3.0, "length": "7" } }));
    assert_eq!(call.read_file.map(|read| (read.offset, read.length)), Some((3, Some(7))));
}

#[test]
fn what_is_wrong_is_named_with_its_path() {
    for (value, wanted) in [
        (json!([]), "a JSON object is wanted, not an array"),
        (
            json!({ "update_weights": { "weight_infos": [{ "weight": 1 }, { "weight": "two" }] } }),
            "field update_weights.weight_infos[1].weight: a number is wanted, not \"two\"",
        ),
        (
            json!({ "update_weights": { "weight_infos": [{ "role": "a" }] } }),
            "field update_weights.weight_infos[0].weight is required and not set",
        ),
        (json!({ "remove_quota": {} }), "field remove_quota.role is required and not set"),
        (
            json!({ "update_quota": { "quota_configs": [{ "role": "a", "limits": { "mem": {} } }] } }),
            "field update_quota.quota_configs[0].limits[0].value.value is required and not set",
        ),
        (
            json!({ "update_quota": { "quota_configs": [{ "role": "a", "limits": [1] }] } }),
            "field update_quota.quota_configs[0].limits[0]: an object is wanted, not an array",
        ),
        (json!({ "type": 16 }), "field type: a name is wanted, not 16"),
        (json!({ "get_metrics": true }), "field get_metrics: an object is wanted, not a boolean"),
        (
            json!({ "set_logging_level": { "level": -1, "duration": { "nanoseconds": 1 } } }),
            "field set_logging_level.level: a whole number up to 4294967295 is wanted, not -1",
        ),
        (
            json!({ "set_logging_level": { "level": 1, "duration": { "nanoseconds": 1.5 } } }),
            "field set_logging_level.duration.nanoseconds: a whole number is wanted, not 1.5",
        ),
    ] {
        assert_eq!(refused::<Call>(&value), wanted);
    }
    // An enum that is required has to be known.
    let message = refused::<Resource>(&json!({ "name": "cpus", "type": "VECTOR" }));
    assert_eq!(message, "field type: \"VECTOR\" is not one of SCALAR, RANGES, SET, TEXT");
    let message = refused::<TaskStatus>(&json!({ "task_id": { "value": "t" }, "state": 1 }));
    assert_eq!(message, "field state: a name is wanted, not 1");
}

#[test]
fn lists_name_the_place() {
    let read = |text: &str| list::<WeightInfo>(text.as_bytes());
    assert_eq!(read("[{\"weight\":1},{\"weight\":2}]").unwrap().len(), 2);
    for (text, wanted) in [
        ("{}", "a JSON array is wanted"),
        ("[{\"weight\":1},7]", "field [1]: an object is wanted, not a number"),
        ("[{}]", "field [0].weight is required and not set"),
        ("[{\"weight\":[]}]", "field [0].weight: a number is wanted, not an array"),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), wanted);
    }
}

#[test]
fn nested_messages_and_messages_of_themselves() {
    let id: ContainerId =
        read(&json!({ "value": "c", "parent": { "value": "b", "parent": { "value": "a" } } }));
    assert_eq!(id.parent.as_ref().unwrap().parent.as_ref().unwrap().value, "a");
    assert_eq!(
        written(&id),
        json!({ "value": "c", "parent": { "value": "b", "parent": { "value": "a" } } })
    );
}

#[test]
fn a_machine_without_a_mode_has_none() {
    let info: MachineInfo = read(&json!({ "id": { "hostname": "h" } }));
    assert_eq!(info.mode, None);
    assert_eq!(written(&info), json!({ "id": { "hostname": "h" } }));
}

#[test]
fn what_protobuf_leaves_out_of_maps_is_written() {
    // In proto3 and in maps, zero and "" are not on the wire.
    let mut task = TaskInfo::default();
    task.limits.insert(String::new(), value::Scalar { value: 0.0 });
    assert_eq!(written(&task)["limits"], json!({ "": { "value": 0.0 } }));
    assert_eq!(written(&Ping {}), json!({}));
    assert_eq!(written(&ViewSnapshot::default()), json!({}));
}

#[test]
fn required_fields_are_asked_for_on_the_wire_too() {
    let call = Call {
        update_weights: Some(call::UpdateWeights {
            weight_infos: vec![WeightInfo { weight: 2.0, role: None }],
        }),
        ..Call::default()
    };
    assert_eq!(wire::decode::<Call>(&call.encode_to_vec()).unwrap(), call);
    // update_weights { weight_infos { role: "a" } }
    let bytes = [0x32, 0x05, 0x0a, 0x03, 0x12, 0x01, b'a'];
    let error = wire::decode::<Call>(&bytes).unwrap_err().to_string();
    assert_eq!(error, "field update_weights.weight_infos[0].weight is required and not set");
    assert!(wire::decode::<Call>(&bytes[..5]).is_err());
    assert!(wire::decode::<Call>(b"{}").is_err());
    // task_id { value: "t" }, state: 99
    let bytes = [0x0a, 0x03, 0x0a, 0x01, b't', 0x10, 99];
    let error = wire::decode::<TaskStatus>(&bytes).unwrap_err().to_string();
    assert_eq!(error, "field state is required and not set");
}

#[test]
fn zeros_in_maps_are_on_the_wire() {
    let mut config = crate::mesos::quota::QuotaConfig { role: "a".into(), ..Default::default() };
    config.limits.insert("m".into(), value::Scalar { value: 0.0 });
    let zero = [0x12, 0x09, 0x09, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut wanted = vec![0x0a, 1, b'a', 0x1a, 14, 0x0a, 1, b'm'];
    wanted.extend(zero);
    assert_eq!(wire::encode(&config).unwrap(), wanted);
    assert_eq!(wire::decode::<crate::mesos::quota::QuotaConfig>(&wanted).unwrap(), config);
}

#[test]
fn every_message_of_the_apis_has_a_layout() {
    for known in [
        Layout::of::<Call>().is_ok(),
        Layout::of::<Response>().is_ok(),
        Layout::of::<response::get_agents::Agent>().is_ok(),
        Layout::of::<scheduler::Call>().is_ok(),
        Layout::of::<scheduler::Event>().is_ok(),
        Layout::of::<prost_types::Duration>().is_ok(),
    ] {
        assert!(known);
    }
}

proptest::proptest! {
    #[test]
    fn text_of_any_kind_is_read_or_refused(text in "\\PC{0,40}|[\\[\\]{}\",:a-z0-9 ]{0,40}") {
        let _ = from_slice::<Call>(text.as_bytes());
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in proptest::collection::vec(0_u8.., 0..60)) {
        if let Ok(call) = wire::decode::<Call>(&bytes) {
            // What was read says the same in JSON and back, but for names that are not known.
            let value = written(&call);
            if let Ok(again) = from_value::<Call>(&value) {
                proptest::prop_assert_eq!(written(&again), value);
            }
        }
    }

    #[test]
    fn tasks_are_the_same_in_json_and_back(
        name in ".*",
        data in proptest::option::of(proptest::collection::vec(0_u8.., 0..20)),
        amounts in proptest::collection::btree_map("[a-z]{0,3}", proptest::num::f64::NORMAL, 0..4),
        ports in proptest::collection::vec((0_u64.., 0_u64..), 0..3),
    ) {
        let ranges = ports.into_iter().map(|(begin, end)| value::Range { begin, end }).collect();
        let resource = Resource {
            name: "ports".into(),
            r#type: value::Type::Ranges.into(),
            ranges: Some(value::Ranges { range: ranges }),
            ..Resource::default()
        };
        let task = TaskInfo {
            name,
            data,
            resources: vec![resource],
            limits: amounts.into_iter().map(|(k, value)| (k, value::Scalar { value })).collect(),
            ..TaskInfo::default()
        };
        let bytes = wire::encode(&task).unwrap();
        proptest::prop_assert_eq!(wire::decode::<TaskInfo>(&bytes).unwrap(), task.clone());
        let text = serde_json::to_vec(&Json(&task)).unwrap();
        proptest::prop_assert_eq!(from_slice::<TaskInfo>(&text).unwrap(), task);
    }
}
