//! Generates messages and services from `/proto`, without `protoc`.

use std::error::Error;

const FILES: [&str; 3] = ["control.proto", "dispatcher.proto", "node.proto"];

/// Changes that would make every other change as large as they are.
const LARGE_CHANGES: [&str; 13] = [
    "create_cluster",
    "update_cluster",
    "set_cluster",
    "create_node",
    "update_node",
    "open_session",
    "create_service",
    "update_service",
    "create_network",
    "create_secret",
    "create_volume",
    "set_volume",
    "create_config",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../../proto");
    let files = protox::compile(FILES, ["../../proto"])?;
    let mut build = tonic_prost_build::configure()
        .btree_map(".")
        .boxed(".swarm.v1.TaskRuntime.runtime.container")
        .skip_debug([".swarm.v1.Sensitive"]);
    for change in LARGE_CHANGES {
        build = build.boxed(format!(".swarm.v1.Change.change.{change}"));
    }
    build.compile_fds(files)?;
    Ok(())
}
