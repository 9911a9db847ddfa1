//! `/metrics`, as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

use node_test::{Node, Stream, until};

/// Every sample of the page by its name with labels. Refuses what Prometheus would refuse.
fn samples(node: &Node) -> BTreeMap<String, f64> {
    let page = node.page(9300, "/metrics").unwrap();
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("version=0.0.4"), "{head}");
    let (mut helped, mut typed) = (BTreeSet::new(), BTreeMap::new());
    let mut samples = BTreeMap::new();
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(helped.insert(name) && !text.is_empty(), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["gauge", "counter", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(helped.contains(name) && typed.insert(name, kind).is_none(), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let part = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = part.filter(|of| typed.get(of) == Some(&"histogram")).unwrap_or(name);
            assert!(family.starts_with("swarm_") && typed.contains_key(family), "{line}");
            let value = value.parse().unwrap();
            assert_eq!(samples.insert(series.to_owned(), value), None, "{line}");
        }
    }
    samples
}

#[test]
fn what_a_manager_does_is_counted_in_prometheus_form() {
    let node = Node::ready_with(&["--metrics-addr", "127.0.0.1:9300"]);
    let before = samples(&node);
    for (counter, outcomes) in [
        ("swarm_dispatcher_reports_total", ["committed", "refused", "failed"]),
        ("swarm_scheduler_decisions_total", ["applied", "refused", "unknown"]),
    ] {
        for outcome in outcomes {
            let series = format!("{counter}{{outcome=\"{outcome}\"}}");
            assert!(before.contains_key(&series), "{series} is not in {before:?}");
        }
    }
    node.serve("web", &["--replicas", "2", "--network", "host"], &["sleep", "100000"]);
    let _ = node.running("web", 2);

    let grown = |names: &[&str]| {
        let now = samples(&node);
        let value = |of: &BTreeMap<String, f64>, name: &str| of.get(name).copied().unwrap_or(0.0);
        let still: Vec<_> =
            names.iter().filter(|name| value(&now, name) <= value(&before, name)).collect();
        if still.is_empty() { Ok(now) } else { Err(format!("{still:?} in {now:?}")) }
    };
    let now = until("everything is counted", || {
        grown(&[
            "swarm_raft_commit_seconds_count",
            "swarm_raft_commit_seconds_bucket{le=\"+Inf\"}",
            "swarm_raft_commit_seconds_sum",
            "swarm_raft_log_sync_seconds_count",
            "swarm_scheduler_round_seconds_count",
            "swarm_scheduler_decisions_total{outcome=\"applied\"}",
            "swarm_dispatcher_heartbeats_total",
            "swarm_dispatcher_assignments_total",
            "swarm_dispatcher_reports_total{outcome=\"committed\"}",
            "swarm_objects{kind=\"service\"}",
            "swarm_tasks{state=\"running\"}",
        ])
    });

    assert_eq!(now["swarm_dispatcher_sessions"], 1.0);
    assert!(now["swarm_dispatcher_reports_queued"] >= 0.0);
    assert_eq!(now["swarm_raft_leader_changes_total"], 1.0);
    assert_eq!(now["swarm_raft_leader"], 1.0);
    assert!(now["swarm_raft_commit_seconds_sum"] < 60.0);
}

#[test]
fn the_page_says_when_the_node_changes_its_part() {
    let node = Node::start_with(&["--metrics-addr", "127.0.0.1:9300"]);
    let answers = |head: &str| {
        let page = node.page(9300, "/metrics").map_err(|error| error.to_string())?;
        if page.starts_with(head) { Ok(page) } else { Err(page) }
    };

    let _ = until("the page is there", || answers("HTTP/1.1 200"));

    // Who is asked to let it in takes the connection and says nothing.
    let silent = node.netns().run(|| TcpListener::bind("127.0.0.1:9301")).unwrap();
    let token = format!("SWMTKN-1-{}-{}", "0".repeat(50), "0".repeat(25));
    let joins = Stream::start(node.command(&["join", "--token", &token, "127.0.0.1:9301"]));
    let page = until("it waits to be let in", || answers("HTTP/1.1 503"));

    assert!(
        page.ends_with("changing its part in a cluster: ask again in some seconds\n"),
        "{page}"
    );
    drop(silent);
    let _ = until("it was not let in", || answers("HTTP/1.1 200"));
    drop(joins);
}
