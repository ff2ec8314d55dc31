//! Generates the protobuf types, with a compiler written in Rust: no `protoc` needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let root = "../../proto";
    let files =
        ["mesos/v1/scheduler/scheduler.proto", "muster/v1/link.proto", "muster/v1/registry.proto"];
    println!("cargo:rerun-if-changed={root}");
    let descriptors = protox::compile(files, [root])?;
    let grpc = std::env::var_os("CARGO_FEATURE_GRPC").is_some();
    tonic_prost_build::configure()
        .build_client(grpc)
        .build_server(grpc)
        // Maps in key order: encoding a message twice gives the same bytes.
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
