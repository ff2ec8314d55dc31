//! Every target on its seeds and on what little changes make of them: as much as a test may
//! take. `cargo xtask fuzz` does more.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use muster_fuzz::Target;
use proptest::prelude::*;
use proptest::sample::Index;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target)
}

/// The seeds of a target, in order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A little change.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// So much from one place again at another.
    Repeat(Index, Index, usize),
    Cut(Index),
}

/// What parsers look for.
const TOKENS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "{}",
    ":",
    ";",
    ",",
    "-",
    "*",
    ".",
    "/",
    "\"",
    "\\",
    "\n",
    " ",
    "0",
    "1",
    "-1",
    "1e15",
    "0.0005",
    "1e-320",
    "NaN",
    "inf",
    "18446744073709551615",
    "null",
    "true",
    "é",
    "a/b",
    "[1-2]",
    "{a,b}",
    "(?i)",
    "[^a]",
    "|",
    "?",
    "+",
    "{1,9}",
    "\\d",
    "..",
    "../beside",
    ".wh.",
    ".wh..wh..opq",
    "%tar%",
    "@app/blob@",
    "sha256:",
    "https://",
    "docker.io",
    "dTpw",
    "^",
    "$",
];

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    let token = prop::sample::select(TOKENS).prop_map(|token| token.as_bytes().to_vec());
    let bytes = prop::collection::vec(any::<u8>(), 1..4);
    prop_oneof![
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        3 => (at(), token).prop_map(|(at, token)| Change::Insert(at, token)),
        1 => (at(), bytes).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        2 => (at(), 1..8_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        2 => (at(), at(), 1..30_usize).prop_map(|(from, to, count)| Change::Repeat(from, to, count)),
        1 => at().prop_map(Change::Cut),
    ]
}

impl Change {
    fn apply(&self, input: &mut Vec<u8>) {
        let ends = input.len() + 1;
        match self {
            Self::Set(at, byte) => {
                if !input.is_empty() {
                    let at = at.index(input.len());
                    input[at] = *byte;
                }
            }
            Self::Insert(at, bytes) => {
                let at = at.index(ends);
                input.splice(at..at, bytes.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = at.index(ends);
                input.drain(at..input.len().min(at + count));
            }
            Self::Repeat(from, to, count) => {
                let (from, to) = (from.index(ends), to.index(ends));
                let part = input[from..input.len().min(from + count)].to_vec();
                input.splice(to..to, part);
            }
            Self::Cut(at) => input.truncate(at.index(ends)),
        }
    }
}

/// Tries a target; a fault is the panic that it was.
fn check(name: &str) {
    let target = Target::named(name).unwrap();
    let seeds = seeds(name);
    for seed in &seeds {
        target.run(seed);
    }
    let usual = ProptestConfig::default();
    let config = ProptestConfig { cases: usual.cases * 8, max_shrink_iters: 5000, ..usual };
    let inputs = (any::<Index>(), prop::collection::vec(change(), 0..12));
    proptest!(config, |((seed, changes) in inputs)| {
        let mut input = seeds[seed.index(seeds.len())].clone();
        for change in &changes {
            change.apply(&mut input);
        }
        target.run(&input);
    });
}

#[test]
fn constraint() {
    check("constraint");
}

#[test]
fn constraints_message() {
    check("constraints-message");
}

#[test]
fn docker_config() {
    check("docker-config");
}

#[test]
fn fetched_archive() {
    check("fetched-archive");
}

#[test]
fn forwarded_packet() {
    check("forwarded-packet");
}

#[test]
fn image_archive() {
    check("image-archive");
}

#[test]
fn image_layout() {
    check("image-layout");
}

#[test]
fn image_registry() {
    check("image-registry");
}

#[test]
fn layer() {
    check("layer");
}

#[test]
fn operation_message() {
    check("operation-message");
}

#[test]
fn resource_json() {
    check("resource-json");
}

#[test]
fn resource_text() {
    check("resource-text");
}

#[test]
fn seccomp_profile() {
    check("seccomp-profile");
}

#[test]
fn every_target_has_seeds_and_a_test() {
    let named: BTreeSet<String> = Target::ALL.iter().map(|target| target.name.to_owned()).collect();
    let with_seeds: BTreeSet<String> = fs::read_dir(folder("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(named, with_seeds);
    let tests = include_str!("short.rs");
    assert!(named.iter().all(|name| tests.contains(&format!("check(\"{name}\")"))));
    assert!(named.iter().all(|name| !seeds(name).is_empty()));
}
