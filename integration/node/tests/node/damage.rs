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

/// What the daemon made of damage.
enum Judged {
    /// It refused and named the file.
    Refused,
    /// It started with everything that was acknowledged.
    Whole,
    /// Neither.
    Wrong(String),
}

/// Starts the daemon over a damaged file.
fn judge(node: &Node, file: &Path) -> Judged {
    if let Err(refusal) = node.try_start_daemon() {
        return if names(&refusal, file, node) { Judged::Refused } else { wrong(file, &refusal) };
    }
    let services = node.swarm(&["service", "ls", "-q"]);
    assert!(node.stop_daemon().success(), "{}", node.log());
    let whole = services.code == Some(0) && services.stdout.lines().count() == SERVICES;
    if whole { Judged::Whole } else { wrong(file, &services) }
}

/// Whether a refusal names the file, or the folder of the store that it found the damage in.
fn names(refusal: &Ran, file: &Path, node: &Node) -> bool {
    let state = node.dir().join("state");
    let mut named = file.ancestors().take_while(|it| *it != state);
    let shown = &refusal.stderr;
    let by_name = named.any(|path| shown.contains(&path.display().to_string()));
    refusal.code == Some(1) && by_name && !shown.contains("panicked at")
}

fn wrong(file: &Path, ran: &Ran) -> Judged {
    Judged::Wrong(format!("{}: {}", file.display(), ran.to_string().lines().last().unwrap_or("")))
}

/// Damages every file in turn; returns those that the daemon refused.
fn damage_each(node: &Node, files: &[PathBuf], damage: impl Fn(&Path)) -> Vec<PathBuf> {
    let (mut refused, mut failures) = (Vec::new(), Vec::new());
    for file in files {
        damage(file);
        match judge(node, file) {
            Judged::Refused => refused.push(file.clone()),
            Judged::Whole => {}
            Judged::Wrong(how) => failures.push(how),
        }
        node.restore_state();
    }
    assert!(failures.is_empty(), "{failures:#?}");
    refused
}

#[test]
fn a_flipped_byte_is_refused_by_name_or_does_no_harm() {
    let node = filled();

    let flip = |quarter: usize| {
        damage_each(&node, &files(&node), |file| {
            let mut bytes = fs::read(file).unwrap();
            // Of a file that is mostly reserved space, a place in use.
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
            bytes[used * quarter / 4] ^= 0x40;
            fs::write(file, bytes).unwrap();
        })
    };
    let refused: Vec<_> = (1..4).flat_map(flip).collect();

    let is_refused = |part: &str| refused.iter().any(|file| file.to_string_lossy().contains(part));
    assert!(is_refused("state/raft/") && is_refused("state/certificates/"), "{refused:#?}");
}

#[test]
fn a_lost_file_of_the_store_is_refused_by_name() {
    let node = filled();
    let store = node.dir().join("state/raft");
    let files: Vec<_> = files(&node).into_iter().filter(|file| file.starts_with(&store)).collect();

    let refused = damage_each(&node, &files, |file| fs::remove_file(file).unwrap());

    assert!(refused.iter().any(|file| file.ends_with("mark")), "{refused:#?}");
}
