//! Generates messages and services from `/proto`, without `protoc`.

use std::error::Error;

const FILES: [&str; 8] = [
    "ca.proto",
    "changes.proto",
    "control.proto",
    "dispatcher.proto",
    "node.proto",
    "raft.proto",
    "records.proto",
    "relay.proto",
];

/// Large parts of small messages. Mostly what is boxed in the types is boxed here too.
const BOXED: [&str; 27] = [
    "Change.change.assign_task",
    "Change.change.create_cluster",
    "Change.change.create_config",
    "Change.change.create_extension",
    "Change.change.create_network",
    "Change.change.create_node",
    "Change.change.create_resource",
    "Change.change.create_secret",
    "Change.change.create_service",
    "Change.change.create_task",
    "Change.change.create_volume",
    "Change.change.observe_task",
    "Change.change.open_session",
    "Change.change.set_cluster",
    "Change.change.set_resource",
    "Change.change.set_volume",
    "Change.change.update_cluster",
    "CreateTask.template.attachment",
    "OpenSession.description",
    "RollbackService.status",
    "SetEndpoint.endpoint",
    "SetUpdateStatus.status",
    "Task.template.own",
    "TaskRuntime.runtime.container",
    "UpdateConfigObject.spec",
    "UpdateSecret.spec",
    "UpdateService.spec",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../../proto");
    let files = protox::compile(FILES, ["../../proto"])?;
    let mut build =
        tonic_prost_build::configure().btree_map(".").skip_debug([".swarm.v1.Sensitive"]);
    for part in BOXED {
        build = build.boxed(format!(".swarm.v1.{part}"));
    }
    build.compile_fds(files)?;
    Ok(())
}
