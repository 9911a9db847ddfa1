//! A history of writes and reads at all members while members and network fail, checked after:
//! nothing acknowledged is lost, every read sees what was acknowledged before it began, and
//! nothing is written twice. `SWARM_HISTORY_SEED` chooses the schedule.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use super::cluster::Cluster;
use super::{create, get, soon};
use crate::{Lane, Limits, Raft};

const MEMBERS: usize = 3;
const CLIENTS: usize = 6;
const ROUNDS: usize = 6;

/// What clients saw.
#[derive(Default)]
struct History {
    /// Names, the index of their entry, and when they were acknowledged.
    acknowledged: BTreeMap<String, (u64, Instant)>,
    reads: usize,
    unknown: usize,
}

type Shared = Arc<Mutex<History>>;
/// The members that run, as clients find them.
type Running = Arc<Mutex<Vec<Option<Raft>>>>;

async fn client(number: usize, seed: u64, running: Running, history: Shared, until: Instant) {
    let mut random = StdRng::seed_from_u64(seed ^ number as u64);
    let mut count = 0;
    while Instant::now() < until {
        let at = random.random_range(0..MEMBERS);
        let raft = running.lock().unwrap()[at].clone();
        let Some(raft) = raft else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let deadline = Instant::now() + Duration::from_millis(400);
        if random.random_ratio(1, 4) {
            read(&raft, &history, deadline).await;
        } else {
            let name = format!("c{number}-{count}");
            let group = create(&name, name.as_bytes());
            match raft.propose(Lane::Control, group, deadline).await {
                Ok(accepted) => {
                    let seen = (accepted.version, Instant::now());
                    history.lock().unwrap().acknowledged.insert(name, seen);
                    count += 1;
                }
                // The same one is tried again, elsewhere.
                Err(_) => history.lock().unwrap().unknown += 1,
            }
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..10))).await;
    }
}

async fn read(raft: &Raft, history: &Shared, deadline: Instant) {
    let began = Instant::now();
    let Ok(snapshot) = raft.read(deadline).await else { return };
    let mut history = history.lock().unwrap();
    history.reads += 1;
    let before = history.acknowledged.iter().filter(|(_, (_, at))| *at < began);
    for (name, (version, _)) in before {
        assert!(get(&snapshot, name).is_some(), "a read missed {name}, written at {version}");
        assert!(snapshot.applied() >= *version);
    }
}

/// One fault, and its end.
async fn nemesis(cluster: &mut Cluster, running: &Running, random: &mut StdRng) -> String {
    let victim = random.random_range(0..MEMBERS);
    let other = (victim + 1) % MEMBERS;
    let pause = Duration::from_millis(random.random_range(200..1800));
    let what = match random.random_range(0..5) {
        0 => {
            running.lock().unwrap()[victim] = None;
            cluster.kill(victim).await;
            tokio::time::sleep(pause).await;
            cluster.start(victim).await;
            running.lock().unwrap()[victim] = Some(cluster.raft(victim).clone());
            "kill"
        }
        1 => {
            cluster.isolate(&[victim]);
            tokio::time::sleep(pause).await;
            "isolate"
        }
        2 => {
            cluster.net.cut(victim, other);
            tokio::time::sleep(pause).await;
            "cut one way"
        }
        3 => {
            cluster.net.weather(50, 100, Duration::from_millis(60));
            tokio::time::sleep(pause).await;
            "weather"
        }
        _ => {
            // An old leader that goes on in its belief, then meets the others.
            let leader = cluster.leader().await;
            cluster.isolate(&[leader]);
            tokio::time::sleep(pause).await;
            "isolate the leader"
        }
    };
    cluster.net.heal();
    cluster.net.weather(0, 0, Duration::ZERO);
    format!("{what} {victim} for {pause:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_and_no_read_is_old() {
    let seed = std::env::var("SWARM_HISTORY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("SWARM_HISTORY_SEED={seed}");
    let rounds = std::env::var("SWARM_HISTORY_ROUNDS").ok().and_then(|it| it.parse().ok());
    let limits = Limits { snapshot_after: 30_000, keep_log: 3_000, ..Limits::default() };
    let mut cluster = Cluster::of(MEMBERS, seed, limits).await;
    let running: Running = Arc::new(Mutex::new(cluster.rafts.clone()));
    let history = Shared::default();
    let mut random = StdRng::seed_from_u64(seed);
    let rounds: usize = rounds.unwrap_or(ROUNDS);
    let until = Instant::now() + Duration::from_secs(60 + 10 * rounds as u64);
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(number, seed, running.clone(), history.clone(), until));
    }

    for _ in 0..rounds {
        let what = nemesis(&mut cluster, &running, &mut random).await;
        let before = history.lock().unwrap().acknowledged.len();
        let began = Instant::now();
        super::eventually("writes go on", || {
            history.lock().unwrap().acknowledged.len() > before + 60
        })
        .await;
        println!("{what}; writes went on after {:?}", began.elapsed());
        assert!(!clients.is_empty());
    }
    clients.abort_all();
    while let Some(ended) = clients.join_next().await {
        assert!(!ended.is_err_and(|error| error.is_panic()), "a client saw what must not be");
    }

    let history = std::mem::take(&mut *history.lock().unwrap());
    println!(
        "{} acknowledged, {} unknown or refused, {} reads",
        history.acknowledged.len(),
        history.unknown,
        history.reads
    );
    for member in 0..MEMBERS {
        let snapshot = cluster.read(member).await;
        for (name, (version, _)) in &history.acknowledged {
            let found = get(&snapshot, name);
            assert_eq!(found.as_deref(), Some(name.as_bytes()), "{name} at {member}");
            assert!(snapshot.applied() >= *version);
        }
    }
    for (name, (version, _)) in history.acknowledged.iter().take(20) {
        let group = create(name, name.as_bytes());
        let again = cluster.raft(0).propose(Lane::Control, group, soon()).await.unwrap();
        assert_eq!((again.version, again.replayed), (*version, true), "{name}");
    }
    assert!(history.acknowledged.len() > 60 * rounds && history.reads > 10);
    running.lock().unwrap().clear();
    cluster.end().await;
}
