//! Named volumes, as a user makes, finds, uses and drops them.

use node_test::{Node, until};

#[test]
fn a_volume_is_made_found_and_removed() {
    let node = Node::start();
    let line = ["volume", "create", "--label", "tier=back", "data"];

    let made = node.swarm(&line);
    let again = node.swarm(&["volume", "create", "data"]);
    let drawn = node.swarm(&["volume", "create"]);

    assert_eq!((made.ok(), again.ok()), ("data", "data"));
    assert_eq!(drawn.ok().len(), 64);
    let shown = &node.swarm(&["volume", "inspect", "-f", "json", "data"]).objects()[0][0];
    let place = node.dir().join("state/volumes/data/_data");
    assert_eq!(shown["Mountpoint"], place.display().to_string());
    assert_eq!(shown["Labels"]["tier"], "back");
    assert!(shown["CreatedAt"].as_str().unwrap().starts_with("20"), "{shown}");
    assert!(place.is_dir());
    let labelled = node.swarm(&["volume", "ls", "-q", "--filter", "label=tier=back"]);
    assert_eq!(labelled.ok(), "data");

    let removed = node.swarm(&["volume", "rm", "data", drawn.ok()]);
    let gone = node.swarm(&["volume", "rm", "data"]);

    assert_eq!(removed.ok().lines().count(), 2);
    assert!(gone.refusal().contains("no volume data"), "{gone}");
    assert_eq!(node.swarm(&["volume", "rm", "--force", "data"]).ok(), "data");
    assert!(node.swarm(&["volume", "ls", "-q"]).ok().is_empty());
    assert!(!place.exists());
}

#[test]
fn unused_volumes_go_when_somebody_says_so() {
    let node = Node::ready();
    let line = ["service", "create", "-d", "--name", "web", "--network", "host"];
    let mount = ["--mount", "type=volume,source=used,target=/data", "busybox:test"];
    let _ = node.swarm(&[&line[..], &mount, &["sleep", "100000"]].concat()).ok();
    let _ = node.running("web", 1);
    let _ = node.swarm(&["volume", "create", "kept"]).ok();
    let labelled = ["volume", "create", "--label", "keep", "labelled"];
    let _ = node.swarm(&labelled).ok();
    let drawn = node.swarm(&["volume", "create"]);
    let names = |filter| node.swarm(&["volume", "ls", "-q", "--filter", filter]);

    let asked = node.swarm(&["volume", "prune"]);
    assert!(asked.refusal().contains("--force"), "{asked}");
    assert_eq!(names("dangling=true").ok().lines().count(), 3);
    assert_eq!(names("dangling=false").ok(), "used");
    assert!(names("colour=red").refusal().contains("colour"));

    let nameless = node.swarm(&["volume", "prune", "-f"]);
    assert_eq!(nameless.ok(), format!("Deleted Volumes:\n{}", drawn.ok()));
    let rest = node.swarm(&["volume", "prune", "-f", "-a", "--filter", "label!=keep"]);
    assert_eq!(rest.ok(), "Deleted Volumes:\nkept");
    let labelled = node.swarm(&["volume", "prune", "-f", "-a", "--filter", "label=keep"]);
    assert_eq!(labelled.ok(), "Deleted Volumes:\nlabelled");
    assert_eq!(node.swarm(&["volume", "ls", "-q"]).ok(), "used");
    assert!(node.swarm(&["volume", "prune", "-f", "-a"]).ok().is_empty());
}

#[test]
fn what_makes_no_volume_is_refused_and_leaves_nothing() {
    let node = Node::start();

    for (arguments, why) in [
        (&["a/b"][..], "a name has"),
        (&["--driver", "nfs", "data"], "only local"),
        (&["--opt", "colour=red", "data"], "colour"),
    ] {
        let ran = node.swarm(&[&["volume", "create"], arguments].concat());
        assert!(ran.refusal().contains(why), "{ran}");
    }
    let missing = node.swarm(&["volume", "inspect", "nope"]);

    assert!(missing.refusal().contains("no such volume: nope"), "{missing}");
    assert!(node.swarm(&["volume", "ls", "-q"]).ok().is_empty());
}

#[test]
fn a_volume_keeps_its_files_and_stays_while_a_service_has_it() {
    let node = Node::ready();
    let line = ["service", "create", "-d", "--name", "web", "--network", "host"];
    let mount = ["--mount", "type=volume,source=data,target=/data", "busybox:test"];
    let script = ["sh", "-c", "echo kept > /data/file; exec sleep 100000"];
    let _ = node.swarm(&[&line[..], &mount, &script].concat()).ok();
    let _ = node.running("web", 1);
    let file = node.dir().join("state/volumes/data/_data/file");
    until("the task wrote", || std::fs::metadata(&file).map(drop).map_err(|why| why.to_string()));

    let used = node.swarm(&["volume", "rm", "--force", "data"]);
    let _ = node.swarm(&["service", "rm", "web"]).ok();
    until("the container is gone", || match node.containers() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });

    assert!(used.refusal().contains("in use"), "{used}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept\n");
    assert_eq!(node.swarm(&["volume", "rm", "data"]).ok(), "data");
    assert!(!file.exists());
}
