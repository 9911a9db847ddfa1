//! What the handle promises, on a healthy disk.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use swarm_crypto::seal::{Key, Sealer};

use super::{create, eventually, found, get, options, put, reopen, sealer, soon};
use crate::disk::{Disk, Step, Witness};
use crate::{
    Lane, Leadership, Limits, OpenError, Options, ProposeError, Raft, ReadError, WatchError,
};

fn leader(raft: &Raft) -> (u64, u64) {
    match *raft.leadership().borrow() {
        Leadership::Leader { term, incarnation } => (term, incarnation),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let raft = found(options(dir.path())).await;
    let before = leader(&raft);
    let accepted = put(&raft, "web", b"content").await;
    let big = vec![3; 500_000];
    put(&raft, "big", &big).await;
    let hash = raft.snapshot().hash();
    raft.shutdown().await;

    let raft = reopen(options(dir.path())).await;
    let snapshot = raft.read(soon()).await.unwrap();
    assert_eq!(get(&snapshot, "web"), Some(b"content".to_vec()));
    assert_eq!(get(&snapshot, "big"), Some(big));
    assert_eq!(snapshot.hash(), hash);
    let after = leader(&raft);
    assert_eq!(after.0, before.0, "a cluster of one leads on in its term");
    assert_ne!(after.1, before.1, "and is told apart by its incarnation");

    let again = put(&raft, "web", b"content").await;
    assert_eq!((again.version, again.replayed), (accepted.version, true));
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_founded_once() {
    let dir = tempfile::tempdir().unwrap();
    let absent = Raft::open(options(dir.path()), sealer()).await;
    assert!(matches!(absent, Err(OpenError::Absent { .. })), "{absent:?}");

    found(options(dir.path())).await.shutdown().await;

    let first = Arc::unwrap_or_clone(create("second", b""));
    let again = Raft::bootstrap(options(dir.path()), sealer(), first).await;
    assert!(matches!(again, Err(OpenError::Exists { .. })), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_founding_that_was_refused_can_be_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut twice = Arc::unwrap_or_clone(create("twice", b""));
    twice.changes.push(twice.changes[0].clone());
    let refused = Raft::bootstrap(options(dir.path()), sealer(), twice).await;
    assert!(matches!(refused, Err(OpenError::Refused(_))), "{refused:?}");
    let unfinished = Raft::open(options(dir.path()), sealer()).await;
    assert!(matches!(unfinished, Err(OpenError::Unfinished { .. })), "{unfinished:?}");

    let raft = found(options(dir.path())).await;
    assert_eq!(get(&raft.snapshot(), "twice"), None);
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_readable_without_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let secret = b"correct horse battery staple";
    let limits = Limits { snapshot_after: 2_000, keep_log: 0, ..Limits::default() };
    let raft = found(Options { limits, ..options(dir.path()) }).await;
    for number in 0..20 {
        put(&raft, &format!("readable-name-{number}"), secret).await;
    }
    eventually("a snapshot", || raft.info().snapshot.is_some()).await;
    raft.shutdown().await;

    let other = Sealer::new(&Key::new([8; 32]), 1);
    let refused = Raft::open(options(dir.path()), other).await;
    assert!(matches!(refused, Err(OpenError::Damaged { .. })), "{refused:?}");
    for path in files(dir.path()) {
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        for text in [&secret[..], b"readable-name"] {
            let found = bytes.windows(text.len()).any(|window| window == text);
            assert!(!found, "{path:?} shows {:?}", String::from_utf8_lossy(text));
        }
    }
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_stays_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { snapshot_after: 128 << 10, keep_log: 64 << 10, ..Limits::default() };
    let raft = found(Options { limits, ..options(dir.path()) }).await;

    // 8 MiB go through the log; the state holds 16 KiB of them.
    for number in 0..500 {
        let name = format!("config-{number}");
        let group = create(&name, &vec![1; 16 << 10]);
        let swarm_types::Change::CreateConfig(config) = &group.changes[0] else { panic!() };
        let mut remove = Arc::unwrap_or_clone(create(&format!("{name}-gone"), b""));
        remove.changes = vec![swarm_types::Change::RemoveConfig(config.id)];
        raft.propose(Lane::Control, group, soon()).await.unwrap();
        raft.propose(Lane::Control, remove, soon()).await.unwrap();
    }

    eventually("a short log", || raft.info().log_bytes < 256 << 10).await;
    let bytes: u64 = files(dir.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(bytes < 5 << 20, "{bytes} bytes");
    let blobs = fs::read_dir(dir.path().join("raft/log/blobs")).unwrap().count();
    assert_eq!(blobs, 0, "sled never syncs blobs, so no leaf may grow into one");
    raft.shutdown().await;
    reopen(options(dir.path())).await.shutdown().await;
}

/// Holds one step up while it is closed.
#[derive(Debug)]
struct Gate {
    step: Step,
    suffix: &'static str,
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    reached: bool,
}

impl Gate {
    fn on(step: Step, suffix: &'static str) -> Arc<Self> {
        Arc::new(Self { step, suffix, state: Mutex::default(), changed: Condvar::new() })
    }

    fn close(&self) {
        *self.state.lock().unwrap() = GateState { closed: true, reached: false };
    }

    fn open(&self) {
        self.state.lock().unwrap().closed = false;
        self.changed.notify_all();
    }

    async fn reached(&self) {
        eventually("the gate is reached", || self.state.lock().unwrap().reached).await;
    }
}

impl Witness for Gate {
    fn before(&self, step: Step, path: &Path) -> io::Result<()> {
        if step == self.step && path.to_string_lossy().ends_with(self.suffix) {
            let mut state = self.state.lock().unwrap();
            state.reached = true;
            while state.closed {
                state = self.changed.wait(state).unwrap();
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_touches_the_files_after_a_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::on(Step::SyncAll, ".tmp");
    gate.close();
    let limits = Limits { snapshot_after: 2_000, keep_log: 0, ..Limits::default() };
    let options = Options { limits, ..options(dir.path()) };
    let first = Arc::unwrap_or_clone(create("founding", &[1; 4_000]));
    let disk = Disk::seen_by(gate.clone());
    let raft = Raft::bootstrap_on(disk, options, sealer(), first).await.unwrap();
    gate.reached().await;

    let mut shutdown = std::pin::pin!(raft.shutdown());
    let early = tokio::time::timeout(Duration::from_millis(200), &mut shutdown).await;
    assert!(early.is_err(), "a snapshot is still being written");
    gate.open();
    shutdown.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_releases_everybody_who_waits() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::on(Step::SyncData, "db");
    let first = Arc::unwrap_or_clone(create("founding", b""));
    let disk = Disk::seen_by(gate.clone());
    let raft = Raft::bootstrap_on(disk, options(dir.path()), sealer(), first).await.unwrap();
    gate.close();
    let propose = |name: &'static str| {
        let raft = raft.clone();
        tokio::spawn(async move {
            raft.propose(Lane::Control, create(name, b""), soon() + Duration::from_secs(60)).await
        })
    };
    let in_flight = propose("in flight");
    gate.reached().await;
    let queued = propose("queued");

    let stopping = tokio::spawn({
        let raft = raft.clone();
        async move { raft.shutdown().await }
    });
    for waiter in [in_flight, queued] {
        let told = tokio::time::timeout(Duration::from_secs(10), waiter).await;
        let told = told.expect("nobody told it").unwrap();
        assert!(matches!(told, Err(ProposeError::Stopped(_))), "{told:?}");
    }
    gate.open();
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_use_is_not_called_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let raft = found(options(dir.path())).await;

    let second = Raft::open(options(dir.path()), sealer()).await;
    assert!(matches!(second, Err(OpenError::Io { action: "open", .. })), "{second:?}");

    put(&raft, "on", b"it goes").await;
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_go_on_while_a_snapshot_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::on(Step::SyncAll, ".tmp");
    gate.close();
    let limits = Limits { snapshot_after: 10_000, keep_log: 0, ..Limits::default() };
    let first = Arc::unwrap_or_clone(create("founding", b""));
    let options = Options { limits, ..options(dir.path()) };
    let disk = Disk::seen_by(gate.clone());
    let raft = Raft::bootstrap_on(disk, options.clone(), sealer(), first).await.unwrap();
    put(&raft, "large", &[1; 20_000]).await;
    gate.reached().await;

    for number in 0..20 {
        put(&raft, &format!("meanwhile-{number}"), b"data").await;
    }
    raft.read(soon()).await.unwrap();
    assert_eq!(raft.info().snapshot, None);
    gate.open();

    eventually("the snapshot is in use", || raft.info().snapshot.is_some()).await;
    raft.shutdown().await;
    let raft = reopen(options).await;
    let snapshot = raft.read(soon()).await.unwrap();
    assert_eq!(get(&snapshot, "large"), Some(vec![1; 20_000]));
    assert!((0..20).all(|number| get(&snapshot, &format!("meanwhile-{number}")).is_some()));
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_misses_nothing_or_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { watch_backlog: 4, ..Limits::default() };
    let raft = found(Options { limits, ..options(dir.path()) }).await;
    put(&raft, "before", b"").await;
    let (snapshot, mut watch) = raft.watch();
    let (_, mut slow) = raft.watch();
    assert!(get(&snapshot, "before").is_some());

    for number in 0..8 {
        let accepted = put(&raft, &format!("after-{number}"), b"").await;
        let batch = watch.next().await.unwrap();
        assert_eq!((batch.index, batch.events.len()), (accepted.version, 1));
        assert!(batch.index > snapshot.applied());
    }

    assert!(matches!(slow.next().await, Err(WatchError::Lagged)));
    raft.shutdown().await;
    assert!(matches!(watch.next().await, Err(WatchError::Stopped(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_share_entries_and_each_has_its_own_result() {
    let dir = tempfile::tempdir().unwrap();
    let raft = found(options(dir.path())).await;
    put(&raft, "taken", b"").await;
    let before = raft.info().last;

    let mut writers = tokio::task::JoinSet::new();
    for number in 0..200 {
        let raft = raft.clone();
        writers.spawn(async move {
            let name = if number % 10 == 0 { "taken".into() } else { format!("config-{number}") };
            let mut group = Arc::unwrap_or_clone(create(&name, b""));
            // A request of its own, so that a taken name is refused, not replayed.
            group.request = swarm_types::IdSource::seeded(number + 1000).draw();
            if let swarm_types::Change::CreateConfig(config) = &mut group.changes[0] {
                config.id = swarm_types::IdSource::seeded(number + 5000).draw();
            }
            (number, raft.propose(Lane::Status, group, soon()).await)
        });
    }
    while let Some(done) = writers.join_next().await {
        let (number, result) = done.unwrap();
        if number % 10 == 0 {
            assert!(matches!(result, Err(ProposeError::Refused(_))), "{number}: {result:?}");
        } else {
            result.unwrap();
        }
    }

    let entries = raft.info().last - before;
    assert!(entries < 100, "200 groups took {entries} entries");
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passed_leaves_the_outcome_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let raft = found(options(dir.path())).await;

    // An answer that is there before anybody looks is given, deadline or not; most are not.
    let mut unknown = 0;
    for number in 0..20 {
        let name = format!("late-{number}");
        match raft.propose(Lane::Control, create(&name, b""), Instant::now()).await {
            Ok(_) => {}
            Err(ProposeError::Unknown { .. }) => unknown += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(unknown > 0, "every answer was there at once");
    let read = raft.read(Instant::now()).await;
    assert!(matches!(read, Ok(_) | Err(ReadError::Late { .. })), "{read:?}");

    // The same group again has one outcome, whatever became of the first try.
    put(&raft, "late-0", b"").await;
    let large = raft.propose(Lane::Control, create("large", &vec![0; 3 << 20]), soon()).await;
    assert!(matches!(large, Err(ProposeError::TooLarge { .. })), "{large:?}");
    raft.shutdown().await;
    let stopped = raft.propose(Lane::Control, create("more", b""), soon()).await;
    assert!(matches!(stopped, Err(ProposeError::Stopped(_))), "{stopped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_last_handle_frees_the_files() {
    let dir = tempfile::tempdir().unwrap();
    drop(found(options(dir.path())).await);

    let deadline = Instant::now() + Duration::from_secs(20);
    let raft = loop {
        match Raft::open(options(dir.path()), sealer()).await {
            Ok(raft) => break raft,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    raft.shutdown().await;
}
