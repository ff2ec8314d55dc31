//! Generates the protobuf types, with a compiler written in Rust: no `protoc` needed. Beside
//! them, what the JSON form has to know of the fields of each message.

#[path = "build/layouts.rs"]
mod layouts;

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let root = "../../proto";
    let files = [
        "mesos/v1/agent/agent.proto",
        "mesos/v1/executor/executor.proto",
        "mesos/v1/master/master.proto",
        "mesos/v1/scheduler/scheduler.proto",
        "muster/v1/link.proto",
        "muster/v1/registry.proto",
    ];
    println!("cargo:rerun-if-changed={root}");
    println!("cargo:rerun-if-changed=build");
    let descriptors = protox::compile(files, [root])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(out.join("layouts.rs"), layouts::generate(&descriptors)?)?;
    let grpc = std::env::var_os("CARGO_FEATURE_GRPC").is_some();
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .build_client(grpc)
        .build_server(grpc)
        // Maps in key order: encoding a message twice gives the same bytes.
        .btree_map(".")
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
