use std::fs;
use std::path::PathBuf;

use swarm_crypto::seal::Key;

use super::*;
use crate::type_config::LeaderId;

fn sealer() -> Sealer {
    Sealer::new(&Key::new([7; 32]), 1)
}

fn position(index: u64) -> Anchor {
    Anchor { id: LogId::new(LeaderId::new(2, 9), index), tag: Some([5; 16]) }
}

fn mark(index: u64) -> Mark {
    Mark {
        store: [4; 16],
        member: 9,
        vote: Some(Vote::new_committed(2, 9)),
        last: Some(position(index)),
        floor: Some(position(1)),
        snapshot: Some(SnapshotRef { id: [6; 16], last: position(3).id }),
        complete: true,
        epoch: 1,
        alone: Some(Member { node: swarm_types::NodeId::MIN, addr: "a:1".into() }),
    }
}

/// A mark whose log reached 8, then 9.
fn two_updates() -> (tempfile::TempDir, PathBuf, Vec<u8>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mark");
    let mut file = MarkFile::create(&path, Disk::default(), sealer(), mark(8)).unwrap();
    let before = fs::read(&path).unwrap();
    file.update(|it| *it = mark(9)).unwrap();
    let after = fs::read(&path).unwrap();
    (dir, path, before, after)
}

fn open(path: &Path) -> Result<Mark, OpenError> {
    MarkFile::open(path, Disk::default(), sealer()).map(|file| file.get().clone())
}

#[test]
fn a_torn_write_leaves_the_mark_before_or_after_it() {
    let (_dir, path, before, after) = two_updates();
    for torn_at in (0..FILE_LEN).step_by(64) {
        for forward in [true, false] {
            // The disk wrote what lies before the tear, or what lies after it.
            let (head, tail) = if forward { (&after, &before) } else { (&before, &after) };
            fs::write(&path, [&head[..torn_at], &tail[torn_at..]].concat()).unwrap();
            let found = open(&path).unwrap();
            assert!(found == mark(8) || found == mark(9), "torn at {torn_at}: {found:?}");
        }
    }
}

#[test]
fn one_flipped_bit_takes_nothing_back() {
    let (_dir, path, _, after) = two_updates();
    for at in 0..after.len() {
        let mut bytes = after.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        assert_eq!(open(&path).unwrap(), mark(9), "byte {at}");
    }
}

#[test]
fn a_mark_that_is_cut_foreign_or_under_another_key_is_refused() {
    let (_dir, path, _, after) = two_updates();
    for len in [0, 1, CELL, FILE_LEN - 1] {
        fs::write(&path, &after[..len]).unwrap();
        assert!(matches!(open(&path), Err(OpenError::Damaged { .. })), "{len}");
    }
    fs::write(&path, vec![1; FILE_LEN]).unwrap();
    assert!(matches!(open(&path), Err(OpenError::Damaged { .. })));
    fs::write(&path, &after).unwrap();
    let other = Sealer::new(&Key::new([8; 32]), 1);
    let refused = MarkFile::open(&path, Disk::default(), other).unwrap_err().to_string();
    assert!(refused.contains("the key is another one"), "{refused}");
}

#[test]
fn a_newer_format_is_refused_as_newer() {
    let (_dir, path, _, mut after) = two_updates();
    for cell in after.chunks_mut(CELL).filter(|cell| cell[0] != 0) {
        cell[11] = 2;
    }
    fs::write(&path, after).unwrap();
    assert!(matches!(open(&path), Err(OpenError::Newer { found: 2, known: 1, .. })));
}
