//! What compiled profiles say to system calls.

use Architecture::{Aarch64, X86, X86_64};

use super::*;
use crate::seccomp::profile::parse;
use crate::seccomp::simulation::{call, run};

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const NONE: [u64; 6] = [0; 6];

type Holds = fn(u64, u64) -> bool;

fn errno(number: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | number.cast_unsigned()
}

fn surroundings(capabilities: &str) -> Surroundings {
    let capabilities = capabilities.parse().unwrap();
    Surroundings { native: X86_64, kernel: (6, 1), capabilities }
}

fn docker(capabilities: CapabilitySet) -> Filter {
    let surroundings = Surroundings { capabilities, ..surroundings("") };
    Profile::docker().unwrap().compile(&surroundings).unwrap()
}

fn compiled(default: &str, rules: &str) -> Result<Filter, String> {
    let profile = parse(&format!(r#"{{"defaultAction":"{default}","syscalls":[{rules}]}}"#));
    profile?.compile(&surroundings("CHOWN")).map_err(|error| error.to_string())
}

#[test]
fn dockers_profile_knows_capabilities() {
    let usual = docker(CapabilitySet::DOCKER);
    let of = |filter, name| call(filter, X86_64, name, NONE);
    for name in [
        "mount",
        "unshare",
        "setns",
        "keyctl",
        "add_key",
        "bpf",
        "kexec_load",
        "swapon",
        "init_module",
        "io_uring_setup",
        "userfaultfd",
        "open_by_handle_at",
        "perf_event_open",
        "pivot_root",
        "reboot",
        "iopl",
        "settimeofday",
        "pidfd_getfd",
        "move_mount",
    ] {
        assert_eq!(of(&usual, name), errno(libc::EPERM), "{name}");
    }
    for name in [
        "read",
        "execve",
        "chroot",
        "ptrace",
        "clone",
        "futex",
        "arch_prctl",
        "writev",
        "rseq",
        "statx",
        "uretprobe",
    ] {
        assert_eq!(of(&usual, name), ALLOW, "{name}");
    }
    assert_eq!(of(&usual, "clone3"), errno(libc::ENOSYS));
    let admin = docker("SYS_ADMIN,SYS_BOOT".parse().unwrap());
    for name in ["mount", "unshare", "clone3", "bpf", "reboot"] {
        assert_eq!(of(&admin, name), ALLOW, "{name}");
    }
    assert_eq!(of(&admin, "chroot"), errno(libc::EPERM));
}

#[test]
fn dockers_profile_looks_at_arguments() {
    let filter = docker(CapabilitySet::DOCKER);
    let first = |name, value: u64| call(&filter, X86_64, name, [value, 9, 9, 9, 9, 9]);
    for new in [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWCGROUP] {
        assert_eq!(first("clone", u64::from(new.cast_unsigned()) | 0x11), errno(libc::EPERM));
    }
    assert_eq!(first("clone", 0x1_0100), ALLOW);
    for allowed in [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] {
        assert_eq!(first("personality", allowed), ALLOW);
    }
    for refused in [1, 0x4_0000, 0x1_0000_0000, 0xffff_ffff_ffff_ffff] {
        assert_eq!(first("personality", refused), errno(libc::EPERM));
    }
    for (family, expected) in [
        (0, ALLOW),
        (1, ALLOW),
        (2, ALLOW),
        (16, ALLOW),
        (44, ALLOW),
        (12, errno(1)),
        (38, errno(1)),
        (40, errno(1)),
        (46, errno(1)),
        (0x1_0000_0028, errno(1)),
    ] {
        assert_eq!(first("socket", family), expected, "{family}");
    }
}

#[test]
fn every_way_into_the_kernel_is_covered() {
    let filter = docker(CapabilitySet::DOCKER);
    assert_eq!(call(&filter, X86, "mount", NONE), errno(libc::EPERM));
    assert_eq!(call(&filter, X86, "socketcall", NONE), ALLOW);
    assert_eq!(call(&filter, X86, "clone", [0x1000_0000, 0, 0, 0, 0, 0]), errno(libc::EPERM));
    let killed = libc::SECCOMP_RET_KILL_PROCESS;
    assert_eq!(call(&filter, Aarch64, "read", NONE), killed);
    // Numbers that there are not, and x32's of those that are allowed.
    for number in [470, 9999] {
        assert_eq!(run(&filter, X86_64.audit(), number, NONE), errno(libc::EPERM));
    }
    for number in [X32, X32 | 0x209, u32::MAX] {
        assert_eq!(run(&filter, X86_64.audit(), number, NONE), errno(libc::ENOSYS));
    }
    let open = compiled("SCMP_ACT_ALLOW", r#"{"name":"bpf","action":"SCMP_ACT_KILL"}"#).unwrap();
    assert_eq!(run(&open, X86_64.audit(), X32 | 0x141, NONE), errno(libc::ENOSYS));
    assert_eq!(call(&open, X86, "read", NONE), killed, "not the profile's");
}

#[test]
fn comparisons_are_of_64_bits_without_sign() {
    let values = [
        0,
        1,
        5,
        6,
        u64::from(u32::MAX),
        1 << 32,
        (1 << 32) + 5,
        (5 << 32) + 1,
        (6 << 32) + 5,
        u64::MAX - 1,
        u64::MAX,
    ];
    let operators: [(&str, Holds); 6] = [
        ("NE", |a, b| a != b),
        ("LT", |a, b| a < b),
        ("LE", |a, b| a <= b),
        ("EQ", |a, b| a == b),
        ("GE", |a, b| a >= b),
        ("GT", |a, b| a > b),
    ];
    for (operator, holds) in operators {
        for with in values {
            let rule = format!(
                r#"{{"name":"mmap","action":"SCMP_ACT_ALLOW","args":[
                    {{"index":5,"value":{with},"op":"SCMP_CMP_{operator}"}},
                    {{"index":0,"value":240,"valueTwo":160,"op":"SCMP_CMP_MASKED_EQ"}}]}}"#
            );
            let filter = compiled("SCMP_ACT_ERRNO", &rule).unwrap();
            for value in values {
                let of = |first| call(&filter, X86_64, "mmap", [first, 0, 0, 0, 0, value]);
                let expected = if holds(value, with) { ALLOW } else { errno(1) };
                assert_eq!(of(0xfa1), errno(1).max(expected), "{value} {operator} {with}");
                assert_eq!(of(0xfb1), errno(1));
            }
        }
    }
}

#[test]
fn rules_of_one_call() {
    let of = |rules: &str, first| {
        let filter = compiled("SCMP_ACT_ERRNO", rules).unwrap();
        call(&filter, X86_64, "kill", [first, 0, 0, 0, 0, 0])
    };
    let compare = |action: &str, args: &str| {
        format!(r#"{{"names":["kill"],"action":"SCMP_ACT_{action}","errnoRet":7,"args":[{args}]}}"#)
    };
    let eq = |value| format!(r#"{{"index":0,"value":{value},"op":"SCMP_CMP_EQ"}}"#);
    // One argument twice is two rules; else none would ever hold.
    let either = compare("ALLOW", &format!("{},{}", eq(1), eq(2)));
    assert_eq!([1, 2, 3].map(|first| of(&either, first)), [ALLOW, ALLOW, errno(1)]);
    let order = format!("{},{}", compare("ERRNO", &eq(1)), compare("ALLOW", &eq(1)));
    assert_eq!(of(&order, 1), errno(7));
    let bare = format!("{order},{}", compare("ALLOW", ""));
    assert_eq!(of(&bare, 1), ALLOW);
    let clash = format!("{},{}", compare("ALLOW", ""), compare("TRAP", ""));
    let expected = "syscalls[1].names[0]: `kill` has another action by an earlier rule";
    assert_eq!(compiled("SCMP_ACT_ERRNO", &clash).unwrap_err(), expected);
}

#[test]
fn names_that_forbid_nothing_are_refused() {
    let rule =
        |action: &str| format!(r#"{{"names":["bpf","mountt"],"action":"SCMP_ACT_{action}"}}"#);
    compiled("SCMP_ACT_ERRNO", &rule("ALLOW")).unwrap();
    let error = compiled("SCMP_ACT_ALLOW", &rule("ERRNO")).unwrap_err();
    let expected = "syscalls[0].names[1]: `mountt` is no system call, so nothing would forbid it";
    assert_eq!(error, expected);
    let error = compiled("SCMP_ACT_ALLOW", r#"{"action":"SCMP_ACT_ERRNO"}"#).unwrap_err();
    assert!(error.starts_with("syscalls[0].names: is empty"), "{error}");
    let large = r#"{"name":"bpf","action":"SCMP_ACT_ERRNO","errnoRet":4096}"#;
    let error = compiled("SCMP_ACT_ALLOW", large).unwrap_err();
    assert_eq!(error, "syscalls[0].errnoRet: is more than 4095");
}

#[test]
fn a_search_finds_every_number_however_long_the_program() {
    // Every other call has verdicts too long to be jumped over at once.
    let numbers = (0..300_u32).filter(|number| number % 2 == 0);
    let clauses = |number: u32| -> Clauses {
        let one = |value| Comparison {
            index: 0,
            value,
            value_two: 0,
            op: crate::seccomp::profile::Operator::Eq,
        };
        (0..2).map(|value| (vec![one(u64::from(value))], number + value)).collect()
    };
    let calls: BTreeMap<u32, Clauses> = numbers.map(|number| (number, clauses(number))).collect();
    let mut program = vec![plain(LOAD, NUMBER)];
    program.extend(search(&segments(Aarch64, calls, 5000).borrow()));
    let filter = Filter::new(0, &program);
    for number in 0..400 {
        let of = |first| run(&filter, 0, number, [first, 0, 0, 0, 0, 0]);
        let known = number < 300 && number % 2 == 0;
        let expected = if known { [number, number + 1, 5000] } else { [5000; 3] };
        assert_eq!([of(0), of(1), of(2)], expected, "{number}");
    }
}

#[test]
fn flags_are_runcs_unless_given() {
    let flags = |text: &str| {
        let text = format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW"{text}}}"#);
        parse(&text).unwrap().compile(&surroundings("")).unwrap().flags
    };
    assert_eq!(flags(""), SPEC_ALLOW);
    assert_eq!(flags(r#","flags":["SECCOMP_FILTER_FLAG_LOG"]"#), LOG);
    let both = r#","flags":["SECCOMP_FILTER_FLAG_SPEC_ALLOW","SECCOMP_FILTER_FLAG_TSYNC"]"#;
    assert_eq!(flags(both), SPEC_ALLOW);
}
