//! Services over time: modes, updates, roll-backs, and nodes that give them up.

use std::fs;

use node_test::{Node, Row, Stream, until};
use serde_json::Value;

const SLEEP: [&str; 2] = ["sleep", "100000"];
/// Ends at once when asked to, as well-behaved programs do.
const POLITE: [&str; 3] = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"];

fn inspect(node: &Node, service: &str) -> Value {
    let ran = node.swarm(&["service", "inspect", service]);
    let found: Value = serde_json::from_str(ran.ok()).unwrap();
    found[0].clone()
}

/// Waits until the update is in that state, and returns its message.
fn update_state(node: &Node, service: &str, state: &str) -> String {
    until(&format!("the update is {state}"), || {
        let status = inspect(node, service)["UpdateStatus"].clone();
        if status["State"] == state {
            Ok(status["Message"].as_str().unwrap_or_default().to_owned())
        } else {
            Err(format!("{status} {:#?}", node.history(service)))
        }
    })
}

fn replicas(node: &Node, service: &str) -> String {
    let ran = node.swarm(&[
        "--format",
        "{{.Replicas}}",
        "service",
        "ls",
        "-f",
        &format!("name={service}"),
    ]);
    ran.ok().to_owned()
}

fn runs(rows: &[Row]) -> Vec<&Row> {
    rows.iter().filter(|row| row.runs()).collect()
}

#[test]
fn a_global_service_has_a_task_per_node() {
    let node = Node::ready();
    node.serve("agent", &["--mode", "global"], &POLITE);
    let rows = node.running("agent", 1);
    let id = node.swarm(&["node", "ls", "-q"]).ok().to_owned();

    assert_eq!(rows[0].name, format!("agent.{id}"));
    assert_eq!(replicas(&node, "agent"), "1/1");
    let hostname =
        node.swarm(&["node", "inspect", "--format", "{{.Description.Hostname}}", "self"]);
    let named = format!("agent.{}", hostname.ok());
    assert_eq!(node.inside(&named, "echo in").ok(), "in");
    let scaled = node.swarm(&["service", "scale", "agent=2"]);
    assert!(scaled.refusal().contains("replicated"), "{scaled}");
}

#[test]
fn an_update_replaces_tasks_and_a_rollback_brings_them_back() {
    let node = Node::ready();
    let flags = ["--replicas", "3", "--env", "A=1", "--update-monitor", "100ms"];
    node.serve("web", &[&flags[..], &["--rollback-monitor", "100ms"]].concat(), &POLITE);
    let before = node.running("web", 3);

    node.update("web", &["--env-add", "B=2", "--env-rm", "A", "--update-parallelism", "2"]);
    let _ = update_state(&node, "web", "completed");

    let after = node.running("web", 3);
    assert!(after.iter().all(|row| before.iter().all(|old| old.id != row.id)), "{after:?}");
    assert_eq!(node.inside("web.2", "echo $A$B").ok(), "2");
    assert_eq!(node.history("web").len(), 6);

    let line = ["service", "rollback", "-d", "web"];
    assert_eq!(node.swarm(&line).code, Some(0));
    let _ = update_state(&node, "web", "rollback_completed");
    assert_eq!(node.running("web", 3).len(), 3);
    assert_eq!(node.inside("web.2", "echo $A$B").ok(), "1");

    // What is the same in the end is left alone.
    let running = node.running("web", 3);
    node.update("web", &["--label-add", "of=web"]);
    assert_eq!(node.running("web", 3), running);
}

#[test]
fn an_image_is_updated_and_the_command_waits_for_it() {
    let node = Node::ready();
    node.load(&testbed::busybox(
        "busybox:next",
        &testbed::Config::default(),
        testbed::Layers::Plain,
    ));
    node.serve("web", &[], &POLITE);
    let _ = node.running("web", 1);

    let updated = node.swarm(&[
        "service",
        "update",
        "--image",
        "busybox:next",
        "--update-monitor",
        "100ms",
        "web",
    ]);

    assert_eq!(updated.ok(), "web");
    assert!(updated.stderr.contains("1 out of 1"), "{updated}");
    let rows = node.swarm(&["--format", "{{.Image}}", "service", "ps", "web"]);
    assert_eq!(rows.ok(), "busybox:next\nbusybox:test");
}

/// The old task stays until the new one is healthy.
#[test]
fn a_start_first_update_waits_for_health() {
    let node = Node::ready();
    let shared = node.dir().join("shared");
    fs::create_dir(&shared).unwrap();
    let bind = format!("type=bind,source={},target=/shared", shared.display());
    let flags = [
        &["--update-order", "start-first", "--update-monitor", "100ms", "--mount", &bind][..],
        &["--health-cmd", "test -z \"$NEW\" -o -f /shared/well", "--health-interval", "100ms"],
        &["--health-retries", "1000", "--health-start-interval", "100ms"],
    ];
    node.serve("web", &flags.concat(), &POLITE);
    let before = node.running("web", 1);

    node.update("web", &["--env-add", "NEW=1"]);
    let meanwhile = node.history_when("the new task starts", "web", |rows| {
        rows.iter().any(|row| row.current == "Starting")
    });
    assert!(runs(&meanwhile).iter().any(|row| row.id == before[0].id), "{meanwhile:#?}");
    fs::write(shared.join("well"), "").unwrap();

    let _ = update_state(&node, "web", "completed");
    let after = node.running("web", 1);
    assert_ne!(after[0].id, before[0].id);
}

#[test]
fn a_failing_update_pauses_or_rolls_back() {
    let node = Node::ready();
    node.serve(
        "web",
        &["--replicas", "2", "--update-monitor", "1s", "--rollback-monitor", "100ms"],
        &POLITE,
    );
    let _ = node.running("web", 2);

    let line = [
        "service",
        "update",
        "--args",
        "sh -c 'exit 3'",
        "--update-failure-action",
        "pause",
        "web",
    ];
    let paused = node.swarm(&line);

    assert!(paused.refusal().contains("update paused"), "{paused}");
    let message = update_state(&node, "web", "paused");
    assert!(message.contains("failure"), "{message}");

    let _ = node.swarm(&["service", "update", "-d", "--rollback", "web"]).ok();
    let _ = update_state(&node, "web", "rollback_completed");
    assert_eq!(node.running("web", 2).len(), 2);

    let line = ["--args", "sh -c 'exit 3'", "--update-failure-action", "rollback"];
    node.update("web", &line);
    let _ = update_state(&node, "web", "rollback_completed");
    assert_eq!(node.running("web", 2).len(), 2);
    assert_eq!(
        inspect(&node, "web")["Spec"]["TaskTemplate"]["ContainerSpec"]["Args"][2],
        POLITE[2]
    );
}

#[test]
fn a_drained_node_gives_up_its_tasks_and_gets_them_back() {
    let node = Node::ready();
    node.serve("web", &["--replicas", "2"], &POLITE);
    node.serve("agent", &["--mode", "global"], &POLITE);
    let (web, agent) = (node.running("web", 2), node.running("agent", 1));
    let availability = |word: &str| {
        assert_eq!(node.swarm(&["node", "update", "--availability", word, "self"]).ok(), "self");
    };

    availability("pause");
    assert_eq!(node.swarm(&["service", "scale", "-d", "web=3"]).code, Some(0));
    let rows = node.history_when("the third waits", "web", |rows| {
        rows.len() == 3 && rows[2].current == "Pending" && !rows[2].error.is_empty()
    });
    assert_eq!(rows[..2], web[..], "a pause ends nothing");
    let why = node.swarm(&["explain", "web.3"]);
    assert!(why.ok().contains("refused") && why.ok().contains("pause"), "{why}");

    availability("drain");
    until("nothing runs", || match node.processes() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
    until("the node refuses what waits", || match node.swarm(&["explain", "web.1"]) {
        why if why.ok().contains("refused") && why.ok().contains("drain") => Ok(()),
        why => Err(why.to_string()),
    });

    availability("active");
    let (again, agents) = (node.running("web", 3), node.running("agent", 1));
    assert!(again.iter().all(|row| web.iter().all(|old| old.id != row.id)));
    assert_ne!(agents[0].id, agent[0].id);
}

#[test]
fn a_task_waits_for_a_node_with_its_label() {
    let node = Node::ready();
    node.serve(
        "web",
        &["--constraint", "node.labels.disk==ssd", "--constraint", "node.role==manager"],
        &POLITE,
    );
    let rows = node
        .history_when("the task waits", "web", |rows| rows.len() == 1 && !rows[0].error.is_empty());
    assert!(rows[0].error.contains("no suitable node"), "{rows:?}");

    let why = node.swarm(&["--format", "{{.Verdict}} {{.Filter}} {{.Detail}}", "explain", "web.1"]);
    assert_eq!(why.ok(), "refused constraint node.labels.disk==ssd does not hold");
    assert_eq!(node.swarm(&["node", "update", "--label-add", "disk=ssd", "self"]).ok(), "self");

    let _ = node.running("web", 1);
    let why = node.swarm(&["--format", "{{.Verdict}}", "explain", "web.1"]);
    assert_eq!(why.ok(), "assigned");
}

#[test]
fn events_tell_what_happens() {
    let node = Node::ready();
    let all = Stream::start(node.command(&["events"]));
    let filters = ["--filter", "type=service", "--filter", "type=node"];
    let some = Stream::start(node.command(&[&["events"], &filters[..]].concat()));
    // Both are heard once they tell of a node that changes.
    let mut changes = 0;
    for stream in [&all, &some] {
        until("events are told", || {
            changes += 1;
            let label = format!("change={changes}");
            let _ = node.swarm(&["node", "update", "--label-add", &label, "self"]).ok();
            stream.next().ok_or_else(|| "nothing".to_owned())
        });
    }

    node.serve("web", &[], &SLEEP);
    let service = all.until(&["service create", "name=web"]);
    let _ = all.until(&["task create", "name=web.1."]);
    let _ = all.until(&["task update", "name=web.1.", "state=running"]);
    let _ = node.swarm(&["service", "rm", "web"]).ok();

    let id = service.split(' ').nth(3).unwrap();
    let _ = all.until(&["service remove", id]);
    let _ = some.until(&["service remove", id]);
}

#[test]
fn a_service_is_shown_for_people() {
    let node = Node::ready();
    let flags =
        ["--replicas", "2", "--env", "A=1", "--mount", "type=volume,source=data,target=/data"];
    let more = ["--limit-memory", "64M", "--constraint", "node.role==manager", "--label", "of=web"];
    let ports = ["--publish", "mode=host,target=80"];
    node.serve("web", &[&flags[..], &more, &ports].concat(), &SLEEP);

    let shown = node.swarm(&["service", "inspect", "--pretty", "web"]);

    for line in [
        "Name:           web",
        "Service Mode:   Replicated",
        " Replicas:      2",
        " of=web",
        " Constraints:   [node.role==manager]",
        " Env:           A=1",
        " Target:        /data",
        " Memory:        64MiB",
        "  PublishMode = host",
    ] {
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.ok().lines().any(|it| squeezed(it) == squeezed(line)), "{line:?} in {shown}");
    }
    let _ = node.running("web", 2);
    let rows = node.swarm(&["ps", "--filter", "name=web.2"]);
    assert_eq!(rows.rows().len(), 1, "{rows}");
}
