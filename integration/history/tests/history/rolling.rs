//! What an operator does to every manager in turn, while clients work.

use history::nemesis::{Fault, Nemesis};
use history::recorder::Recorder;
use netns_test::Cluster;
use node_test::until;

const MANAGERS: u8 = 3;
const CLIENTS: u64 = 4;

fn names() -> Vec<String> {
    (1..=MANAGERS).map(|number| format!("m{number}")).collect()
}

fn recorder(cluster: &Cluster) -> Recorder {
    let socket = |name| cluster.dir().join(name).join("run/swarm.sock");
    Recorder::start(1, names().into_iter().map(socket).collect(), CLIENTS)
}

fn ended(recorder: Recorder) {
    let history = recorder.end().unwrap();
    println!("{history}");
    if let Err((object, violation)) = history.check() {
        panic!("{object}: {violation}");
    }
}

/// Clients repeat a write for five seconds.
#[test]
fn managers_restart_in_turn_without_a_failed_write() {
    let cluster = Cluster::of(MANAGERS, 0);
    let mut nemesis = Nemesis::new(&cluster, MANAGERS, 1);
    let recorder = recorder(&cluster);
    // Whoever leads is restarted at some point, in each round.
    for manager in names().iter().chain(&names()) {
        let before = recorder.acknowledged();
        nemesis.strike(&Fault::Stop(manager.clone()));
        nemesis.await_whole();
        until("a write is acknowledged", || match recorder.acknowledged() {
            now if now > before => Ok(()),
            _ => Err("none".to_owned()),
        });
    }

    assert_eq!(recorder.failed(), 0, "longest gap {} ms", recorder.longest_gap().as_millis());
    ended(recorder);
}

#[test]
fn managers_become_workers_and_managers_again_without_a_lost_write() {
    let cluster = Cluster::of(MANAGERS, 0);
    let nemesis = Nemesis::new(&cluster, MANAGERS, 2);
    let recorder = recorder(&cluster);
    for manager in names() {
        let other = names().into_iter().find(|name| *name != manager).unwrap();
        // It may be refused while a manager that was let in has not been heard yet.
        until(&format!("{manager} may go"), || {
            let ran = cluster.swarm(&other, &["node", "demote", &manager]);
            if ran.code == Some(0) { Ok(()) } else { Err(ran.to_string()) }
        });
        until("it is no manager", || {
            let listed = cluster
                .swarm(&other, &["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"]);
            let is_worker = listed.stdout.lines().any(|line| line.trim_end() == manager);
            if is_worker { Ok(()) } else { Err(listed.to_string()) }
        });
        let _ = cluster.swarm(&other, &["node", "promote", &manager]).ok();
        nemesis.await_whole();
    }

    ended(recorder);
}

/// It joined nobody, so only what its agent was told says whom to ask.
#[test]
fn a_founder_that_lost_its_log_is_let_in_again() {
    let cluster = Cluster::of(MANAGERS, 0);
    let mut nemesis = Nemesis::new(&cluster, MANAGERS, 3);
    let recorder = recorder(&cluster);

    nemesis.strike(&Fault::Wipe("m1".to_owned()));

    ended(recorder);
}
