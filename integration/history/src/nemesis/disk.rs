//! A disk of its own for a node's state, to be filled, to stand still, and to be slow.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use netns_test::Cluster;

/// Room on it: some minutes of log.
const SIZE: u64 = 256 << 20;
/// A slow disk stands still for the one, and works for the other.
const TURN: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(20));

/// A disk without room, until dropped.
#[derive(Debug)]
pub(super) struct Filled(PathBuf);

impl Drop for Filled {
    fn drop(&mut self) {
        // A test that fails removes the whole disk.
        let _ = fs::remove_file(&self.0);
    }
}

/// A disk that stands still, until dropped.
#[derive(Debug)]
pub(super) struct Frozen(PathBuf);

impl Drop for Frozen {
    fn drop(&mut self) {
        // A test that fails may have gone on to the end of the disk.
        let _ = Command::new("fsfreeze").arg("--unfreeze").arg(&self.0).status();
    }
}

/// A disk that stands still most of the time, until dropped.
#[derive(Debug)]
pub(super) struct Slowed {
    done: Arc<AtomicBool>,
    turns: Option<JoinHandle<()>>,
}

impl Drop for Slowed {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        let ended = self.turns.take().map(JoinHandle::join);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))), "a disk was not slow");
    }
}

/// Moves the state of a node, whose daemon does not run, to a disk of its own.
pub(super) fn make(cluster: &Cluster, node: &str) {
    let dir = cluster.dir().join(node);
    let (image, state, before) = (dir.join("disk.img"), dir.join("state"), dir.join("state.1"));
    let made = File::create(&image).and_then(|file| file.set_len(SIZE));
    made.unwrap_or_else(|why| panic!("make a disk for {node}: {why}"));
    run(&["mkfs.ext4", "-q", "-m", "0", text(&image)]);
    let moved = fs::rename(&state, &before).and_then(|()| fs::create_dir(&state));
    moved.unwrap_or_else(|why| panic!("make room for a disk of {node}: {why}"));
    mount(cluster, node);
    run(&["cp", "-a", text(&before.join(".")), text(&state)]);
}

/// Mounts the disk of a node, unless it is or there is none: a power cut undoes it.
pub(super) fn mount(cluster: &Cluster, node: &str) {
    let (image, state) = (cluster.dir().join(node).join("disk.img"), state(cluster, node));
    if image.exists() && !is_mounted(&state) {
        run(&["mount", "-o", "loop", text(&image), text(&state)]);
    }
}

fn is_mounted(state: &Path) -> bool {
    let device = |path: &Path| {
        fs::metadata(path).map(|it| it.dev()).unwrap_or_else(|why| panic!("look at a disk: {why}"))
    };
    state.parent().is_some_and(|dir| device(dir) != device(state))
}

pub(super) fn fill(cluster: &Cluster, node: &str) -> Filled {
    const PIECE: usize = 1 << 16;
    let state = state(cluster, node);
    // Else it would be the disk of this machine.
    assert!(is_mounted(&state), "{} is no disk of its own", state.display());
    let path = state.join("filler");
    let mut file = File::create(&path).unwrap_or_else(|why| panic!("fill the disk: {why}"));
    let filled = Filled(path);
    // The error is the end of the disk; pieces get smaller, so that nothing is left.
    for size in [PIECE, 512, 1] {
        let piece = vec![0; size];
        while file.write_all(&piece).is_ok() {}
    }
    filled
}

pub(super) fn freeze(cluster: &Cluster, node: &str) -> Frozen {
    freeze_at(state(cluster, node))
}

fn freeze_at(state: PathBuf) -> Frozen {
    run(&["fsfreeze", "--freeze", text(&state)]);
    Frozen(state)
}

/// What is written has to wait for a turn, two or three times for an entry of the log.
pub(super) fn slow(cluster: &Cluster, node: &str) -> Slowed {
    let (state, done) = (state(cluster, node), Arc::new(AtomicBool::new(false)));
    let until = Arc::clone(&done);
    let turns = thread::spawn(move || {
        while !until.load(Ordering::Relaxed) {
            let frozen = freeze_at(state.clone());
            thread::sleep(TURN.0);
            drop(frozen);
            thread::sleep(TURN.1);
        }
    });
    Slowed { done, turns: Some(turns) }
}

fn state(cluster: &Cluster, node: &str) -> PathBuf {
    cluster.dir().join(node).join("state")
}

fn run(words: &[&str]) {
    let ran = Command::new(words[0]).args(&words[1..]).output();
    let ran = ran.unwrap_or_else(|why| panic!("run {}: {why}", words[0]));
    assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_else(|| panic!("{} is no text", path.display()))
}
