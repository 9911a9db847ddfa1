//! Kill -9 among 64 writers, again and again: nothing acknowledged is lost.
//!
//! The test starts itself as the process to be killed. `SWARM_CRASH_ROUNDS` sets the rounds.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{create, found, get, options, reopen, soon};
use crate::{Lane, Limits, Options};

const DIR: &str = "SWARM_CRASH_DIR";
const ROUND: &str = "SWARM_CRASH_ROUND";
const WRITERS: usize = 64;
/// Rounds on one store; then a new one, so that a round does not grow dearer and dearer.
const ROUNDS_A_STORE: u64 = 20;

fn settings(dir: &Path) -> Options {
    let limits = Limits { snapshot_after: 100_000, keep_log: 50_000, ..Limits::default() };
    Options { limits, ..options(dir) }
}

/// The process that is killed: writes for ever and says what was acknowledged.
#[test]
fn victim() {
    let (Ok(dir), Ok(round)) = (std::env::var(DIR), std::env::var(ROUND)) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let settings = settings(Path::new(&dir));
        let raft = if round == "0" { found(settings).await } else { reopen(settings).await };
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let (raft, round) = (raft.clone(), round.clone());
            writers.spawn(async move {
                for number in 0.. {
                    let name = format!("r{round}-w{writer}-n{number}");
                    let group = create(&name, name.as_bytes());
                    let accepted = raft.propose(Lane::Control, group, soon()).await.unwrap();
                    let line = format!("acknowledged {name} {}\n", accepted.version);
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            });
        }
        writers.join_all().await;
    });
}

/// Runs the victim until some time after its first acknowledgement. Returns all of them.
fn kill_one(dir: &Path, round: u64, random: &mut StdRng) -> BTreeMap<String, u64> {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::crash::victim", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let mut acknowledged = BTreeMap::new();
    let mut note = |line: String| {
        // The last line may be cut by the kill.
        let mut words = line.split_once("acknowledged ").unwrap_or_default().1.split(' ');
        let (name, version) = (words.next(), words.next().and_then(|it| it.parse().ok()));
        name.zip(version).map(|(name, version)| acknowledged.insert(name.into(), version))
    };
    while note(lines.next().expect("the victim ended by itself").unwrap()).is_none() {}
    let delay = Duration::from_millis(random.random_range(0..400));
    let killer = thread::spawn(move || {
        // Not a wait for anything: the moment of the kill is the input of this test.
        thread::sleep(delay);
        victim.kill().unwrap();
        victim.wait().unwrap();
    });
    for line in lines {
        note(line.unwrap());
    }
    killer.join().unwrap();
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_by_a_kill() {
    let rounds = std::env::var("SWARM_CRASH_ROUNDS").ok().and_then(|it| it.parse().ok());
    let random = &mut StdRng::seed_from_u64(5);
    let (mut dir, mut all) = (tempfile::tempdir().unwrap(), BTreeMap::new());
    for round in 0..rounds.unwrap_or(3) {
        let round = round % ROUNDS_A_STORE;
        if round == 0 {
            (dir, all) = (tempfile::tempdir().unwrap(), BTreeMap::new());
        }
        let acknowledged = kill_one(dir.path(), round, random);
        all.extend(acknowledged.clone());

        let raft = reopen(settings(dir.path())).await;
        let snapshot = raft.read(soon()).await.unwrap();
        for name in all.keys() {
            let found = get(&snapshot, name);
            assert_eq!(found.as_deref(), Some(name.as_bytes()), "round {round}: {name} is lost");
        }
        for (name, version) in acknowledged.iter().take(50) {
            let group = create(name, name.as_bytes());
            let again = raft.propose(Lane::Control, group, soon()).await.unwrap();
            assert_eq!((again.version, again.replayed), (*version, true), "{name}");
        }
        raft.shutdown().await;
    }
    assert!(all.len() > WRITERS, "only {} acknowledgements", all.len());
}
