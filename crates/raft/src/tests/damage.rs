//! Damage anywhere: the store opens with everything acknowledged, or refuses naming the file.
//!
//! `SWARM_DAMAGE_ROUNDS` sets how many places are damaged.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{eventually, found, get, options, put, sealer, soon};
use crate::{Leadership, Limits, Options, Raft};

const ENTRIES: usize = 80;

fn data(number: usize) -> Vec<u8> {
    // One is large enough for many chunks.
    vec![u8::try_from(number).unwrap(); if number == 70 { 200_000 } else { number * 20 }]
}

async fn build(dir: &Path) {
    let limits = Limits { snapshot_after: 30_000, keep_log: 10_000, ..Limits::default() };
    let raft = found(Options { limits, ..options(dir) }).await;
    for number in 0..ENTRIES {
        put(&raft, &format!("config-{number}"), &data(number)).await;
    }
    eventually("a snapshot", || raft.info().snapshot.is_some()).await;
    put(&raft, "last", b"word").await;
    raft.shutdown().await;
}

/// Everything acknowledged is there, or the refusal names a file of the store.
async fn check(dir: &Path, what: &str) -> bool {
    let opened = tokio::time::timeout(Duration::from_secs(20), Raft::open(options(dir), sealer()));
    let raft = match opened.await.unwrap_or_else(|_| panic!("{what}: does not open in time")) {
        Ok(raft) => raft,
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(&*dir.to_string_lossy()), "{what}: names no file: {text}");
            return false;
        }
    };
    super::until(raft.leadership(), |it| matches!(it, Leadership::Leader { .. })).await;
    let snapshot = raft.read(soon()).await.unwrap();
    for number in 0..ENTRIES {
        let found = get(&snapshot, &format!("config-{number}"));
        assert_eq!(found, Some(data(number)), "{what}: entry {number}");
    }
    assert_eq!(get(&snapshot, "last"), Some(b"word".to_vec()), "{what}: the last entry");
    raft.shutdown().await;
    true
}

pub(super) fn copy(from: &Path, to: &Path) -> Vec<PathBuf> {
    fs::create_dir_all(to).unwrap();
    let mut files = Vec::new();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            files.extend(copy(&entry.path(), &target));
        } else {
            fs::copy(entry.path(), &target).unwrap();
            files.push(target);
        }
    }
    files.sort();
    files
}

fn damage(path: &Path, random: &mut StdRng) -> String {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let len = file.metadata().unwrap().len();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    if len == 0 {
        return format!("{name} is empty anyway");
    }
    let at = random.random_range(0..len);
    match random.random_range(0..10) {
        0..5 => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            let bit = random.random_range(0..8);
            file.write_all_at(&[byte[0] ^ 1 << bit], at).unwrap();
            format!("{name}: bit {bit} of byte {at} flipped")
        }
        5..7 => {
            file.set_len(at).unwrap();
            format!("{name}: cut to {at} of {len}")
        }
        7..9 => {
            let end = (at + 4096).min(len);
            file.write_all_at(&vec![0; usize::try_from(end - at).unwrap()], at).unwrap();
            format!("{name}: zeros from {at} to {end}")
        }
        _ => {
            fs::remove_file(path).unwrap();
            format!("{name}: removed")
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_refused_or_harmless() {
    let rounds = std::env::var("SWARM_DAMAGE_ROUNDS").ok().and_then(|it| it.parse().ok());
    let home = tempfile::tempdir().unwrap();
    let whole = home.path().join("whole");
    fs::create_dir(&whole).unwrap();
    build(&whole).await;
    let untouched = home.path().join("untouched");
    copy(&whole, &untouched);
    assert!(check(&untouched, "an untouched copy").await);

    let mut refused = 0;
    for round in 0..rounds.unwrap_or(60) {
        let random = &mut StdRng::seed_from_u64(round);
        let dir = home.path().join(format!("copy-{round}"));
        let files = copy(&whole, &dir);
        let victim = &files[random.random_range(0..files.len())];
        let what = format!("round {round}: {}", damage(victim, random));
        refused += u64::from(!check(&dir, &what).await);
        fs::remove_dir_all(&dir).unwrap();
    }
    assert!(refused > 0, "no damage was ever noticed");
}

/// The newest content lost from the tree, as sled does it without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_went_back_in_time_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("now");
    fs::create_dir(&dir).unwrap();
    found(options(&dir)).await.shutdown().await;
    let before = home.path().join("before");
    copy(&dir, &before);
    let raft = super::reopen(options(&dir)).await;
    put(&raft, "later", b"acknowledged").await;
    raft.shutdown().await;

    let log = dir.join("raft/log");
    fs::remove_dir_all(&log).unwrap();
    copy(&before.join("raft/log"), &log);

    let refused = Raft::open(options(&dir), sealer()).await.unwrap_err().to_string();
    assert!(refused.contains("raft/log/db is damaged: it ends at entry"), "{refused}");
    fs::remove_dir_all(&log).unwrap();
    let refused = Raft::open(options(&dir), sealer()).await.unwrap_err().to_string();
    assert!(refused.contains("raft/log/db is damaged: it is missing"), "{refused}");
}
