//! A damaged state directory: everything is there, or the daemon refuses and names the file.

use std::fs;
use std::path::{Path, PathBuf};

use node_test::{Node, Ran};

/// Services there are before the damage.
const SERVICES: usize = 5;

fn filled() -> Node {
    let node = Node::founded();
    for number in 0..SERVICES {
        let name = format!("web-{number}");
        let line = ["service", "create", "-q", "--replicas", "0", "--network", "host", "--name"];
        let _ = node.swarm(&[&line[..], &[&name, "busybox:test"]].concat()).ok();
    }
    assert!(node.stop_daemon().success(), "{}", node.log());
    node.save_state();
    node
}

/// The files below the state directory with something in them.
fn files(node: &Node) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![node.dir().join("state")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.metadata().unwrap().len() > 0 {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn names(refusal: &Ran, file: &Path, node: &Node) {
    // The store may find its damage in the directory rather than in the one file.
    let folder = node.dir().join("state");
    let shown = refusal.refusal();
    let named = file.ancestors().take_while(|it| *it != folder);
    let mut named = named.map(|it| it.display().to_string());
    assert!(named.any(|path| shown.contains(&path)), "{} in {refusal}", file.display());
    assert!(!shown.contains("panicked at"), "{refusal}");
}

/// Starts the daemon over damage: true when it refused and named the file, false when it started
/// with everything that was acknowledged.
fn refused(node: &Node, file: &Path) -> bool {
    if let Err(refusal) = node.try_start_daemon() {
        names(&refusal, file, node);
        return true;
    }
    let services = node.swarm(&["service", "ls", "-q"]);
    assert_eq!(services.ok().lines().count(), SERVICES, "{}", file.display());
    assert!(node.stop_daemon().success(), "{}", node.log());
    false
}

#[test]
fn a_flipped_byte_is_refused_by_name_or_does_no_harm() {
    let node = filled();

    let mut found = Vec::new();
    for file in files(&node) {
        let mut bytes = fs::read(&file).unwrap();
        // Of a file that is mostly reserved space, a place in use.
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
        bytes[used / 2] ^= 0x40;
        fs::write(&file, bytes).unwrap();
        if refused(&node, &file) {
            found.push(file);
        }
        node.restore_state();
    }

    for part in ["raft/mark", "certificates"] {
        assert!(found.iter().any(|file| file.to_string_lossy().contains(part)), "{found:#?}");
    }
    node.start_daemon();
    assert_eq!(node.swarm(&["service", "ls", "-q"]).ok().lines().count(), SERVICES);
}

#[test]
fn a_lost_file_of_the_store_is_refused_by_name() {
    let node = filled();
    let store = node.dir().join("state/raft");

    let mut found = Vec::new();
    for file in files(&node).into_iter().filter(|file| file.starts_with(&store)) {
        fs::remove_file(&file).unwrap();
        if refused(&node, &file) {
            found.push(file);
        }
        node.restore_state();
    }

    assert!(found.iter().any(|file| file.ends_with("mark")), "{found:#?}");
    node.start_daemon();
    assert_eq!(node.swarm(&["service", "ls", "-q"]).ok().lines().count(), SERVICES);
}
