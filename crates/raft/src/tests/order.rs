//! What must be durable before an acknowledgement, and what follows when it cannot be.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::damage::copy;
use super::{create, get, options, put, reopen, sealer, soon, until};
use crate::disk::{Disk, Step, Witness, parent};
use crate::{Lane, Leadership, Limits, Options, ProposeError, Raft, StopReason};

/// Notes every step; makes one fail when told to.
#[derive(Debug, Default)]
struct Recorder {
    steps: Mutex<Vec<(Step, PathBuf)>>,
    failing: Mutex<Option<(Step, &'static str)>>,
}

impl Witness for Recorder {
    fn before(&self, step: Step, path: &Path) -> io::Result<()> {
        self.steps.lock().unwrap().push((step, path.into()));
        match *self.failing.lock().unwrap() {
            Some((failing, name)) if failing == step && path.ends_with(name) => {
                Err(io::Error::other("injected"))
            }
            _ => Ok(()),
        }
    }
}

impl Recorder {
    fn steps(&self) -> Vec<(Step, PathBuf)> {
        self.steps.lock().unwrap().clone()
    }

    async fn found(self: &Arc<Self>, options: Options) -> Raft {
        let disk = Disk::seen_by(self.clone());
        let first = Arc::unwrap_or_clone(create("founding", b"first"));
        Raft::bootstrap_on(disk, options, sealer(), first).await.unwrap()
    }
}

/// Nothing is acknowledged, and nothing marked, before what it stands on is durable; a snapshot
/// gets its name after its content, and the log below it goes after both.
fn assert_ordered(steps: &[(Step, PathBuf)]) {
    let (mut dirty, mut unnamed) = (BTreeSet::new(), BTreeSet::new());
    for (step, path) in steps {
        let marking = *step == Step::Write && path.ends_with("mark");
        let waiting = dirty.iter().find(|dirty: &&PathBuf| match step {
            Step::Acknowledge => dirty.ends_with("db") || dirty.ends_with("mark"),
            Step::Write => marking && dirty.ends_with("db"),
            Step::Rename => parent(dirty) == parent(path) && !dirty.ends_with("db"),
            _ => false,
        });
        assert_eq!(waiting, None, "{step:?} {path:?} before its sync");
        let purging = *step == Step::Remove && path.ends_with("db");
        assert!(!purging || unnamed.is_empty(), "purge before a sync of {unnamed:?}");
        match step {
            Step::Write => drop(dirty.insert(path.clone())),
            Step::SyncData | Step::SyncAll => drop(dirty.remove(path)),
            Step::Rename => drop(unnamed.insert(parent(path).to_path_buf())),
            Step::SyncDir => drop(unnamed.remove(path)),
            Step::Remove | Step::Acknowledge => {}
        }
    }
}

fn short(steps: &[(Step, PathBuf)]) -> Vec<(Step, String)> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    steps.iter().map(|(step, path)| (*step, name(path))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_follows_the_syncs_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::default());
    let raft = recorder.found(options(dir.path())).await;
    let before = recorder.steps().len();

    put(&raft, "web", b"content").await;

    let (db, mark) = ("db".to_string(), "mark".to_string());
    let expected = [
        (Step::Write, db.clone()),
        (Step::SyncData, db),
        (Step::Write, mark.clone()),
        (Step::SyncData, mark.clone()),
        (Step::Acknowledge, mark),
    ];
    assert_eq!(short(&recorder.steps()[before..]), expected);
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn order_holds_through_founding_snapshots_and_purges() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::default());
    let limits = Limits { snapshot_after: 20_000, keep_log: 10_000, ..Limits::default() };
    let raft = recorder.found(Options { limits, ..options(dir.path()) }).await;

    for number in 0..30 {
        put(&raft, &format!("config-{number}"), &[7; 2000]).await;
    }
    let purges = |(step, path): &(Step, PathBuf)| *step == Step::Remove && path.ends_with("db");
    super::eventually("a purge", || recorder.steps().iter().any(purges)).await;
    raft.shutdown().await;

    assert_ordered(&recorder.steps());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_stops_the_store_and_is_never_tried_again() {
    for (step, file) in [
        (Step::Write, "db"),
        (Step::SyncData, "db"),
        (Step::Write, "mark"),
        (Step::SyncData, "mark"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let recorder = Arc::new(Recorder::default());
        let raft = recorder.found(options(dir.path())).await;
        put(&raft, "before", b"1").await;
        *recorder.failing.lock().unwrap() = Some((step, file));

        let result = raft.propose(Lane::Control, create("lost", b"2"), soon()).await;
        assert!(matches!(result, Err(ProposeError::Stopped(_))), "{result:?}");
        let reason = until(raft.stopped(), Option::is_some).await;
        assert!(matches!(reason, Some(StopReason::Disk { .. })), "{reason:?}");
        let steps = recorder.steps().len();
        let again = raft.propose(Lane::Control, create("lost", b"2"), soon()).await;
        assert!(matches!(again, Err(ProposeError::Stopped(_))), "{again:?}");
        raft.shutdown().await;
        assert_eq!(recorder.steps().len(), steps, "nothing touches the disk after a failure");

        let raft = reopen(options(dir.path())).await;
        assert_eq!(get(&raft.read(soon()).await.unwrap(), "before"), Some(b"1".to_vec()));
        raft.shutdown().await;
    }
}

/// A kill between the tree and the mark leaves an entry in the kernel's memory only.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_start_shows_is_durable_and_marked_before() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("now");
    std::fs::create_dir(&dir).unwrap();
    let recorder = Arc::new(Recorder::default());
    let open = |recorder: &Arc<Recorder>| {
        Raft::open_on(Disk::seen_by(recorder.clone()), options(&dir), sealer())
    };
    recorder.found(options(&dir)).await.shutdown().await;
    copy(&dir.join("raft/log"), &home.path().join("before"));
    let raft = open(&recorder).await.unwrap();
    until(raft.leadership(), |it| matches!(it, Leadership::Leader { .. })).await;
    *recorder.failing.lock().unwrap() = Some((Step::Write, "mark"));
    let result = raft.propose(Lane::Control, create("half", b"2"), soon()).await;
    assert!(matches!(result, Err(ProposeError::Stopped(_))), "{result:?}");
    raft.shutdown().await;

    let recorder = Arc::new(Recorder::default());
    let raft = open(&recorder).await.unwrap();
    let steps = short(&recorder.steps());
    let wanted = [(Step::SyncData, "db"), (Step::Write, "mark"), (Step::SyncData, "mark")];
    let mut rest = steps.iter();
    for (step, name) in wanted {
        assert!(rest.any(|it| *it == (step, name.into())), "{step:?} {name} not in {steps:?}");
    }
    until(raft.leadership(), |it| matches!(it, Leadership::Leader { .. })).await;
    assert_eq!(get(&raft.read(soon()).await.unwrap(), "half"), Some(b"2".to_vec()));
    raft.shutdown().await;

    // Somebody has read it: sled may not lose it without a word.
    std::fs::remove_dir_all(dir.join("raft/log")).unwrap();
    copy(&home.path().join("before"), &dir.join("raft/log"));
    let refused = open(&recorder).await.unwrap_err().to_string();
    assert!(refused.contains("it ends at entry"), "{refused}");
}
