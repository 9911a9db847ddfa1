//! Workers that become managers, and managers that become workers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netns_test::Cluster;
use node_test::until;

/// Waits until these, in order of their names, are all nodes and what they are.
fn are(cluster: &Cluster, asked: &str, wanted: &[&str]) {
    let format = "{{.Hostname}} {{.Status}} {{.ManagerStatus}}";
    until(&format!("the nodes are {wanted:?}"), || {
        let listed = cluster.swarm(asked, &["node", "ls", "--format", format]);
        let plain = listed.stdout.replace("Leader", "Reachable");
        let rows: Vec<&str> = plain.lines().map(str::trim_end).collect();
        if rows == wanted { Ok(()) } else { Err(listed.to_string()) }
    });
}

fn role(cluster: &Cluster, asked: &str, command: &str, node: &str) {
    let _ = cluster.swarm(asked, &["node", command, node]).ok();
}

#[test]
fn nodes_change_their_roles() {
    let cluster = Cluster::of(3, 1);
    let [m1, m2, m3] = ["m1 Ready Reachable", "m2 Ready Reachable", "m3 Ready Reachable"];
    are(&cluster, "m3", &[m1, m2, m3, "w1 Ready"]);

    // The leader too: another leads, and completes it.
    let leader = cluster.leader("m1").unwrap();
    let stays = ["m1", "m2"].into_iter().find(|name| *name != leader).unwrap();
    role(&cluster, stays, "demote", &leader);
    until("it is a worker", || {
        let ran = cluster.swarm(&leader, &["node", "ls"]);
        if ran.stderr.contains("worker nodes can't") { Ok(()) } else { Err(ran.to_string()) }
    });
    assert!(cluster.swarm(stays, &["node", "demote", &leader]).ok().contains("already a worker"));
    role(&cluster, stays, "promote", &leader);
    are(&cluster, &leader, &[m1, m2, m3, "w1 Ready"]);

    // A worker becomes the fourth manager, and writes as one.
    role(&cluster, &leader, "promote", "w1");
    are(&cluster, "w1", &[m1, m2, m3, "w1 Ready Reachable"]);
    let _ = cluster.swarm("w1", &["node", "update", "--label-add", "a=b", "w1"]).ok();
    role(&cluster, "m2", "demote", "w1");
    are(&cluster, "m3", &[m1, m2, m3, "w1 Ready"]);

    // Two are left of three: neither may go while the third is down, but that one may.
    let _ = cluster.dev(&["kill", "m3"]).ok();
    are(&cluster, "m1", &[m1, m2, "m3 Down Unreachable", "w1 Ready"]);
    let refusal = cluster.swarm("m1", &["node", "demote", "m2"]);
    assert!(refusal.refusal().contains("quorum"), "{refusal}");
    role(&cluster, "m1", "demote", "m3");
    until("m3 is no member", || {
        let listed = cluster.swarm(
            "m1",
            &["node", "inspect", "--format", "{{.Spec.Role}} {{.ManagerStatus}}", "m3"],
        );
        if listed.stdout.starts_with("worker <no value>") {
            Ok(())
        } else {
            Err(listed.to_string())
        }
    });
    let _ = cluster.dev(&["start", "m3"]).ok();
    are(&cluster, "m1", &[m1, m2, "m3 Ready", "w1 Ready"]);

    role(&cluster, "m1", "demote", "m2");
    are(&cluster, "m1", &[m1, "m2 Ready", "m3 Ready", "w1 Ready"]);
    let refusal = cluster.swarm("m1", &["node", "demote", "m1"]);
    assert!(refusal.refusal().contains("last manager"), "{refusal}");
    role(&cluster, "m1", "promote", "m2");
    are(&cluster, "m2", &[m1, m2, "m3 Ready", "w1 Ready"]);
}

/// How often somebody began to lead.
fn elections(cluster: &Cluster) -> usize {
    let logs = ["m1", "m2", "m3"].map(|name| cluster.dev(&["logs", name]).ok().to_owned());
    logs.iter().map(|log| log.matches("leadership=Leader").count()).sum()
}

/// Writes until told to stop; each write is taken within five seconds.
fn keeps_writing(cluster: &Cluster, manager: &str, stop: &AtomicBool) {
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("write-{number}");
        let began = Instant::now();
        let write = ["service", "create", "-d", "--name", &name, "--replicas", "0", "none"];
        while cluster.swarm(manager, &write).code != Some(0) {
            assert!(began.elapsed() < Duration::from_secs(5), "write {number} was not taken");
        }
    }
}

/// Demotes a manager that hears nothing of it: it stands still until somebody has it go on.
fn demoted_unheard(cluster: &Cluster, asked: &str, manager: &str) {
    let _ = cluster.dev(&["pause", manager]).ok();
    role(cluster, asked, "demote", manager);
    until("it is no manager any more", || {
        let inspect = ["node", "inspect", "--format", "{{.ManagerStatus}}", manager];
        let shown = cluster.swarm(asked, &inspect);
        if shown.stdout.starts_with("<no value>") { Ok(()) } else { Err(shown.to_string()) }
    });
}

/// Nobody counts it: there is nothing left to do, and nothing to be told.
#[test]
fn a_manager_that_does_not_know_that_it_was_demoted_leaves_in_peace() {
    let cluster = Cluster::of(3, 0);
    let leader = cluster.leader("m1").unwrap();
    let other = ["m1", "m2"].into_iter().find(|name| *name != leader).unwrap();

    demoted_unheard(&cluster, &leader, other);
    let _ = cluster.dev(&["resume", other]).ok();

    assert_eq!(cluster.swarm(other, &["leave", "--force"]).ok(), "Node left the swarm.");
}

/// What it missed of that, its store stood for election again and again.
#[test]
fn a_manager_that_is_promoted_again_disturbs_nobody() {
    let cluster = Cluster::of(3, 0);
    let all = ["m1 Ready Reachable", "m2 Ready Reachable", "m3 Ready Reachable"];
    are(&cluster, "m1", &all);
    let leader = cluster.leader("m1").unwrap();
    let other = ["m1", "m2"].into_iter().find(|name| *name != leader).unwrap();
    let before = elections(&cluster);

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stopped = Stopping(&stop);
        scope.spawn(|| keeps_writing(&cluster, &leader, &stop));
        for _ in 0..10 {
            role(&cluster, &leader, "demote", other);
            role(&cluster, &leader, "promote", other);
        }
        are(&cluster, &leader, &all);
        until("it knows that it votes", || {
            let own = ["node", "inspect", "--format", "{{.ManagerStatus.Addr}}", "self"];
            let shown = cluster.swarm(other, &own);
            if shown.stdout.contains(':') { Ok(()) } else { Err(shown.to_string()) }
        });

        // Its key file is under the unlock key, which nobody is there to bring.
        let _ = cluster.swarm(&leader, &["update", "--autolock"]).ok();
        until("its key file follows", || {
            let log = cluster.dev(&["logs", other]);
            let follows = log.ok().contains("the key file follows");
            if follows { Ok(()) } else { Err(log.to_string()) }
        });
        // It hears of neither.
        demoted_unheard(&cluster, &leader, other);
        role(&cluster, &leader, "promote", other);
        let _ = cluster.dev(&["resume", other]).ok();
        are(&cluster, &leader, &all);
    });

    assert_eq!(elections(&cluster), before);
    let log = cluster.dev(&["logs", other]);
    assert!(log.ok().contains("the others let this manager go"), "{log}");
    assert_eq!(cluster.leader(other).unwrap(), leader);
    let _ = cluster.swarm(other, &["node", "update", "--label-add", "a=b", other]).ok();
}

/// Ends the writes also when a test fails.
struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
