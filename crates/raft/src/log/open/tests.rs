use std::sync::Arc;

use openraft::EntryPayload;
use swarm_types::{Entry, LEVEL, Timestamp};

use super::*;
use crate::Raft;
use crate::tests::{create, found, get, options, put, reopen, sealer, soon};

static LARGE: [u8; 60_000] = [7; 60_000];

fn founding(dir: &Path) -> Founding {
    let (disk, fault) = (Disk::default(), Fault::default());
    Founding { dir: dir.join("raft"), disk, sealer: sealer(), fault }
}

fn mark(dir: &Path) -> Mark {
    let mark = MarkFile::open(&founding(dir).mark(), Disk::default(), sealer()).unwrap();
    mark.get().clone()
}

/// Writes an entry of many parts that nobody acknowledged. Returns its index.
fn write_beyond(dir: &Path) -> u64 {
    let mark = mark(dir);
    let seal = Seal { sealer: sealer(), store: mark.store };
    let table = Table::open(&founding(dir).tree(), Disk::default(), seal).unwrap();
    let last = mark.last.unwrap();
    let log_id = LogId::new(last.id.leader_id, last.id.index + 1);
    let groups = vec![create("beyond", &LARGE)];
    let entry = Entry { level: LEVEL, at: Timestamp::now(), groups, check: None };
    let entry = LogEntry { log_id, payload: EntryPayload::Normal(Arc::new(entry)) };
    let mut batch = Batch::default();
    table.put_entry(&mut batch, &entry, &last.tag.unwrap());
    table.commit(batch).unwrap();
    log_id.index
}

/// Takes the third part of an entry away, as a power failure does that tears a batch.
fn tear(dir: &Path, index: u64) {
    let db = sled::open(founding(dir).tree()).unwrap();
    let from = [b"e", &index.to_be_bytes()[..]].concat();
    let (part, _) = db.range(from..).nth(2).unwrap().unwrap();
    assert_eq!(part[1..9], index.to_be_bytes());
    db.remove(part).unwrap();
    db.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_batch_that_nobody_acknowledged_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let raft = found(options(dir.path())).await;
    put(&raft, "kept", b"1").await;
    raft.shutdown().await;
    let index = write_beyond(dir.path());
    tear(dir.path(), index);

    let raft = reopen(options(dir.path())).await;
    assert_eq!(raft.info().last, index - 1);
    assert_eq!(get(&raft.read(soon()).await.unwrap(), "beyond"), None);
    put(&raft, "after", b"2").await;
    raft.shutdown().await;

    let raft = reopen(options(dir.path())).await;
    let snapshot = raft.read(soon()).await.unwrap();
    assert_eq!(get(&snapshot, "kept"), Some(b"1".to_vec()));
    assert_eq!(get(&snapshot, "after"), Some(b"2".to_vec()));
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_entry_that_nobody_acknowledged_is_marked_before_it_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    found(options(dir.path())).await.shutdown().await;
    let index = write_beyond(dir.path());

    let raft = reopen(options(dir.path())).await;
    assert_eq!(get(&raft.read(soon()).await.unwrap(), "beyond"), Some(LARGE.to_vec()));
    raft.shutdown().await;
    assert_eq!(mark(dir.path()).last.unwrap().id.index, index);

    tear(dir.path(), index);
    let refused = Raft::open(options(dir.path()), sealer()).await.unwrap_err().to_string();
    assert!(refused.contains("lacks a part"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_on_disk_is_read_from_memory() {
    let dir = tempfile::tempdir().unwrap();
    let raft = found(options(dir.path())).await;
    put(&raft, "kept", b"1").await;
    let before = raft.0.log.last().unwrap();
    raft.shutdown().await;

    let raft = reopen(options(dir.path())).await;
    let read = raft.0.log.shared.positions().cached(0, before.index + 1).unwrap();
    assert_eq!(read.len() as u64, before.index + 1);
    assert_eq!(read.last().unwrap().log_id, before);
    raft.shutdown().await;
}
