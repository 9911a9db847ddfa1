//! SIGKILL while many write: what was acknowledged is there, once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use node_test::{Node, until};
use swarm_client::{Client, Consistency};
use swarm_types::spec::Annotations;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::service::{ServiceMode, ServiceSpec};
use swarm_types::spec::task::{NetworkAttachmentConfig, TaskRuntime, TaskSpec};

const WRITERS: usize = 8;
const ROUNDS: usize = 4;
/// Acknowledged in a round before the daemon is killed; differs so that the moment does.
const ACKNOWLEDGED: [usize; ROUNDS] = [1, 37, 150, 400];

#[test]
fn what_was_acknowledged_before_a_kill_is_there() {
    let node = Node::founded();
    let mut acknowledged = BTreeMap::new();

    for (round, &enough) in ACKNOWLEDGED.iter().enumerate() {
        acknowledged.extend(storm(&node, round, enough));
        node.start_daemon();
        until("the daemon serves", || {
            let ran = node.swarm(&["service", "ls", "-q"]);
            if ran.code == Some(0) { Ok(()) } else { Err(ran.to_string()) }
        });
        compare(&node, &acknowledged);
    }
}

/// Writes from all sides until `enough` is acknowledged, then kills the daemon under the writers.
fn storm(node: &Node, round: usize, enough: usize) -> BTreeMap<String, String> {
    let (count, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let socket = node.socket();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (socket, count, over) = (socket.clone(), &count, &over);
                scope.spawn(move || write(socket, &format!("r{round}-w{writer}"), count, over))
            })
            .collect();
        until("enough is acknowledged", || match count.load(Ordering::Relaxed) {
            so_far if so_far >= enough => Ok(()),
            so_far => Err(format!("{so_far} of {enough}")),
        });
        node.kill_daemon();
        over.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    })
}

/// Creates services until the daemon is gone; returns the id of each acknowledged name.
fn write(
    socket: PathBuf,
    prefix: &str,
    count: &AtomicUsize,
    over: &AtomicBool,
) -> Vec<(String, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::unix(&socket);
        let mut acknowledged = Vec::new();
        for number in 0.. {
            let name = format!("{prefix}-{number}");
            match client.create_service(&service(&name)).await {
                Ok(created) => acknowledged.push((name, created.service.id.to_string())),
                Err(_) => break,
            }
            count.fetch_add(1, Ordering::Relaxed);
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
        acknowledged
    })
}

fn compare(node: &Node, acknowledged: &BTreeMap<String, String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(async {
        Client::unix(&node.socket()).services(Consistency::Linearizable).await.unwrap().value
    });
    let mut names = BTreeSet::new();
    let mut stored = BTreeMap::new();
    for row in rows {
        let Annotations { name, labels } = row.service.spec.annotations;
        assert!(names.insert(name.to_ascii_lowercase()), "{name} is there twice");
        assert_eq!(labels["name"], name, "torn");
        stored.insert(name, row.service.id.to_string());
    }
    for (name, id) in acknowledged {
        assert_eq!(stored.get(name), Some(id), "{name} of {} stored", stored.len());
    }
    // One request of each writer and round may have been stored without being acknowledged.
    assert!(stored.len() <= acknowledged.len() + WRITERS * ROUNDS);
}

fn service(name: &str) -> ServiceSpec {
    let container = ContainerSpec { image: "busybox:test".to_owned(), ..ContainerSpec::default() };
    let labels = [("name".to_owned(), name.to_owned())].into();
    ServiceSpec {
        annotations: Annotations { name: name.to_owned(), labels },
        mode: ServiceMode::Replicated { replicas: 0 },
        task: TaskSpec {
            runtime: TaskRuntime::Container(Box::new(container)),
            networks: vec![NetworkAttachmentConfig::default()],
            ..TaskSpec::default()
        },
        ..ServiceSpec::default()
    }
}
