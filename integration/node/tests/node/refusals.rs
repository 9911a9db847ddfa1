//! What is refused, how, and what the user is told to do.

use std::process::Stdio;

use node_test::{Node, Ran, until};
use swarm_client::{Client, ClientError};
use swarm_types::spec::container::{ContainerSpec, Isolation};
use swarm_types::spec::service::{EndpointMode, ServiceMode, ServiceSpec};
use swarm_types::spec::task::{NetworkAttachmentConfig, TaskRuntime, TaskSpec};
use testbed::{Front, Registry};

/// Exit code of a command line that makes no sense, as Docker has it.
const USAGE: Option<i32> = Some(1);

#[track_caller]
fn refused(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(ran.refusal().contains(word), "{word:?} in {ran}");
    }
    assert!(ran.stdout.is_empty(), "{ran}");
    assert!(!ran.stderr.contains("panicked"), "{ran}");
}

#[test]
fn without_a_daemon_its_socket_is_named() {
    let node = Node::start();
    let _ = node.stop_daemon();
    let socket = node.socket().display().to_string();

    for command in [&["info"][..], &["init"], &["ps"], &["service", "ls"], &["image", "ls"]] {
        refused(&node.swarm(command), &[&socket, "--socket"]);
    }
}

#[test]
fn without_a_cluster_init_is_named() {
    let node = Node::start();

    let create = ["service", "create", "--network", "host", "busybox:test"];
    for command in [&["ps"][..], &["service", "ls"], &["node", "ls"], &create] {
        refused(&node.swarm(command), &["swarm init"]);
    }
    assert_eq!(node.swarm(&["image", "ls"]).code, Some(0));
}

#[test]
fn a_reader_that_goes_away_is_nobodys_failure() {
    let node = Node::start();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = node.command(&["completion", "bash"]);

    let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();

    assert_eq!(ended.status.code(), Some(141), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn versions_are_told_with_and_without_a_daemon() {
    let node = Node::start();

    let whole = node.swarm(&["version"]);
    let containerd = node.swarm(&["version", "-f", "{{(index .Server.Components 1).Version}}"]);
    let _ = node.stop_daemon();
    let half = node.swarm(&["version"]);

    for word in ["Client:", "Server:", "containerd:", "runc:"] {
        assert!(whole.ok().contains(word), "{word}: {whole}");
    }
    assert!(whole.ok().contains(containerd.ok()), "{containerd}");
    assert!(half.stdout.starts_with("Client:") && !half.stdout.contains("Server"), "{half}");
    assert!(half.code == Some(1) && half.stderr.contains("--socket"), "{half}");
}

#[test]
fn a_node_founds_one_cluster_only() {
    let node = Node::founded();
    let before = node.swarm(&["node", "ls", "-q"]);

    let again = node.swarm(&["init"]);

    refused(&again, &["already part of a swarm"]);
    assert_eq!(node.swarm(&["node", "ls", "-q"]).ok(), before.ok());
}

#[test]
fn services_are_refused_by_what_is_wrong_with_them() {
    let node = Node::founded();
    let create = |arguments: &[&str]| {
        node.swarm(&[&["service", "create", "--detach", "--replicas", "0"], arguments].concat())
    };
    let _ = create(&["--name", "web", "--network", "host", "busybox:test"]).ok();

    let twice = create(&["--name", "Web", "--network", "host", "busybox:test"]);
    refused(&twice, &["name conflicts with an existing object", "already exists"]);
    let nowhere = create(&["--name", "db", "--network", "backend", "busybox:test"]);
    refused(&nowhere, &["--network backend", "not supported yet"]);
    let meshed = create(&["--name", "db", "--publish", "80", "busybox:test"]);
    refused(&meshed, &["not supported yet: EndpointSpec.Ports.PublishMode", "mode=host"]);
    let misnamed = create(&["--name", "a b", "--network", "host", "busybox:test"]);
    refused(&misnamed, &["name"]);
    let odd = create(&["--name", "db", "--network", "host", "Busy Box"]);
    refused(&odd, &["Busy Box"]);

    assert_eq!(node.swarm(&["service", "ls"]).rows().len(), 1);
}

#[test]
fn unknown_services_are_named_and_the_known_ones_served() {
    let node = Node::founded();
    let line = ["service", "create", "--replicas", "0", "--network", "host", "--name", "web"];
    let _ = node.swarm(&[&line[..], &["busybox:test"]].concat()).ok();

    for verb in ["inspect", "ps", "rm"] {
        let ran = node.swarm(&["service", verb, "nope", "web"]);
        assert!(ran.refusal().contains("no such service: nope"), "{ran}");
        assert!(!ran.stdout.is_empty(), "{ran}");
    }
    refused(&node.swarm(&["service", "scale", "nope=1"]), &["nope: no such service: nope"]);
    assert!(node.swarm(&["service", "ls", "-q"]).ok().is_empty());
}

#[test]
fn a_command_line_that_makes_no_sense_shows_the_usage() {
    let node = Node::start();

    for command in [
        &["frobnicate"][..],
        &["service", "create"],
        &["service", "create", "--replicas", "many", "busybox:test"],
        &["service", "scale", "web"],
        &["ps", "--filter", "web"],
    ] {
        let ran = node.swarm(command);
        assert_eq!(ran.code, USAGE, "{ran}");
        assert!(ran.stderr.contains("--help"), "{ran}");
    }
}

#[test]
fn what_cannot_be_filled_in_on_a_node_is_refused_before() {
    let node = Node::founded();
    let line = ["service", "create", "--detach", "--replicas", "0", "--name", "web"];
    let bad = [&line[..], &["--hostname", "{{.Nope}}", "busybox:test"]].concat();
    let words = ["TaskTemplate.ContainerSpec.Hostname", "field Nope", "Node, Service, Task"];
    refused(&node.swarm(&bad), &words);
    let good = [&line[..], &["--hostname", "{{.Task.Slot}}", "busybox:test"]].concat();
    let _ = node.swarm(&good).ok();
    let update = ["service", "update", "--detach", "--env-add", "A={{.Task.Nope}}", "web"];
    refused(&node.swarm(&update), &["TaskTemplate.ContainerSpec.Env A", "field Nope"]);
}

#[test]
fn a_task_that_does_not_run_is_named_with_its_state_and_reason() {
    let node = Node::founded();
    let line = ["service", "create", "--detach", "--name", "web"];
    let nowhere = ["--constraint", "node.labels.a==b", "busybox:test"];
    let _ = node.swarm(&[&line[..], &nowhere].concat()).ok();
    let _ = node.history_when("no node takes the task", "web", |rows| {
        rows.first().is_some_and(|row| row.error.contains("no suitable node"))
    });

    let exec = node.swarm(&["exec", "web.1", "true"]);
    refused(&exec, &["web.1 (", "is not running: pending", "no suitable node"]);
    let logs = node.swarm(&["logs", "web.1"]);
    refused(&logs, &["web.1 (", "has written nothing: pending", "no suitable node"]);
    let explained = node.swarm(&["explain", "web.1"]);
    assert!(explained.ok().contains("node.labels.a"), "{explained}");
    // What is a service and no task.
    for (command, instead) in [
        (&["logs", "web"][..], "swarm service logs web"),
        (&["explain", "web"], "swarm service ps web"),
        (&["exec", "web", "true"], "swarm service ps web"),
        (&["stats", "web"], "swarm service ps web"),
    ] {
        refused(&node.swarm(command), &["web is a service, not a task", instead]);
    }
    refused(&node.swarm(&["logs", "nope"]), &["no such task: nope"]);
}

#[test]
fn a_field_that_is_not_there_is_refused_with_those_there_are() {
    let node = Node::founded();
    for command in [
        &["node", "inspect", "-f", "{{.Nope}}", "self"][..],
        &["node", "ls", "--format", "{{.Nope}}"],
    ] {
        refused(&node.swarm(command), &["template parsing error", "field Nope", "ID, "]);
    }
    // One that is there and empty is no error.
    let empty = ["node", "inspect", "-f", "<{{.Spec.Name}}>", "self"];
    assert_eq!(node.swarm(&empty).ok().trim(), "<>");
}

#[test]
fn a_task_without_its_image_says_so() {
    let node = Node::founded();
    let dir = node.dir().join("registry");
    std::fs::create_dir(&dir).unwrap();
    let registry = node.netns().run(|| Registry::start(&dir, &Front::default()));
    let image = format!("{}/nowhere:1", registry.host());
    let line = ["service", "create", "--detach", "--name", "web", "--network", "host"];
    let _ = node.swarm(&[&line[..], &["--restart-condition", "none", &image]].concat()).ok();

    let rows = node.history_when("the task is rejected", "web", |rows| {
        rows.first().is_some_and(|row| row.current == "Rejected")
    });

    let error = &rows[0].error;
    assert!(error.contains(&image) && error.contains("no such image"), "{error}");
    let table = until("the table shows the error", || {
        let ran = node.swarm(&["service", "ps", "web"]);
        if ran.ok().contains("Rejected") { Ok(ran) } else { Err(ran.to_string()) }
    });
    assert!(table.ok().contains("image"), "{table}");
    // What never started has no output, and that is no failure.
    assert_eq!(node.swarm(&["service", "logs", "web"]).ok(), "");
}

#[test]
fn damaged_archives_are_refused_and_leave_nothing() {
    let node = Node::start();
    let archive = node.archive(testbed::Format::DockerArchive);
    let whole = std::fs::read(&archive).unwrap();
    for (why, bytes) in [
        ("not a whole tar archive", whole[..whole.len() / 2].to_vec()),
        ("holds neither", Vec::new()),
        ("not a whole tar archive", vec![7; 4096]),
    ] {
        std::fs::write(&archive, bytes).unwrap();
        let ran = node.swarm(&["image", "load", "-i", &archive]);
        refused(&ran, &["bad image archive: ", why]);
    }
    refused(&node.swarm(&["image", "load", "-i", "/nowhere.tar"]), &["/nowhere.tar"]);
    assert!(node.swarm(&["image", "ls", "-q"]).ok().is_empty());
}

/// What the command line cannot ask for, other clients can.
#[test]
fn what_is_not_served_yet_is_refused_by_name() {
    let node = Node::founded();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let create = |change: fn(&mut ServiceSpec)| {
        let mut spec = host_service();
        change(&mut spec);
        let client = runtime.block_on(async { Client::unix(&node.socket()) });
        match runtime.block_on(client.create_service(&spec)) {
            Err(error @ ClientError::Refused(_)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };

    let job = create(|spec| spec.mode = ServiceMode::GlobalJob);
    let named = create(|spec| spec.endpoint.mode = EndpointMode::DnsRr);
    let aliased = create(|spec| spec.task.networks[0].aliases = vec!["db".into()]);
    let isolated = create(|spec| container(spec).isolation = Isolation::Process);

    assert!(job.starts_with("not supported yet: Mode.GlobalJob"), "{job}");
    assert!(named.contains("not supported yet: EndpointSpec.Mode"), "{named}");
    assert!(aliased.contains("not supported yet: TaskTemplate.Networks.Aliases"), "{aliased}");
    assert!(
        isolated.contains("not supported yet: TaskTemplate.ContainerSpec.Isolation"),
        "{isolated}"
    );
    assert!(node.swarm(&["service", "ls", "-q"]).ok().is_empty());
}

fn host_service() -> ServiceSpec {
    let container = ContainerSpec { image: "busybox:test".to_owned(), ..ContainerSpec::default() };
    let task = TaskSpec {
        runtime: TaskRuntime::Container(Box::new(container)),
        networks: vec![NetworkAttachmentConfig::default()],
        ..TaskSpec::default()
    };
    ServiceSpec { task, ..ServiceSpec::default() }
}

fn container(spec: &mut ServiceSpec) -> &mut ContainerSpec {
    match &mut spec.task.runtime {
        TaskRuntime::Container(container) => container,
        other => panic!("{other:?}"),
    }
}
