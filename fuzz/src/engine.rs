//! One target, named by `MUSTER_FUZZ_TARGET`, driven by libFuzzer.
#![no_main]

use std::sync::LazyLock;
use std::{env, process};

use muster_fuzz::Target;

#[expect(clippy::disallowed_methods, reason = "the main function is libFuzzer's")]
static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = env::var("MUSTER_FUZZ_TARGET").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| {
        let names: Vec<&str> = Target::ALL.iter().map(|target| target.name).collect();
        eprintln!("MUSTER_FUZZ_TARGET is {name:?}; set it to one of {}", names.join(", "));
        process::exit(2)
    })
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| TARGET.run(input));
