//! Whatever a seed says.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use history::nemesis::Nemesis;
use history::recorder::Recorder;
use netns_test::Cluster;

/// Many: whoever asks a manager that is cut off is held up by it for seconds.
const CLIENTS: u64 = 12;

/// A number from the environment, for who repeats a run or wants a longer one.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Set by `SWARM_HISTORY_SEED`, `SWARM_HISTORY_SECONDS` and `SWARM_HISTORY_MANAGERS`.
#[test]
fn clients_see_one_place_whatever_happens_to_managers() {
    let drawn = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 1_000_000;
    let seed = setting("SWARM_HISTORY_SEED").unwrap_or_else(drawn);
    let length = Duration::from_secs(setting("SWARM_HISTORY_SECONDS").unwrap_or(60));
    let managers = u8::try_from(setting("SWARM_HISTORY_MANAGERS").unwrap_or(3)).unwrap();
    println!("seed {seed}, {} s, {managers} managers", length.as_secs());
    let cluster = Cluster::of(managers, 0);
    let mut nemesis = Nemesis::new(&cluster, managers, seed);
    let socket = |number| cluster.dir().join(format!("m{number}/run/swarm.sock"));

    let recorder = Recorder::start(seed, (1..=managers).map(socket).collect(), CLIENTS);
    let began = Instant::now();
    while began.elapsed() < length {
        let fault = nemesis.draw();
        let (writes, gap) = (recorder.acknowledged(), recorder.longest_gap().as_millis());
        println!("{:>7} ms, {writes} writes, gap {gap}: {fault}", began.elapsed().as_millis());
        nemesis.strike(&fault);
    }
    nemesis.await_whole();
    let (acknowledged, gap) = (recorder.acknowledged(), recorder.longest_gap());
    let history = recorder.end().unwrap();

    println!("{history}; longest time without an acknowledged write: {} ms", gap.as_millis());
    if let Err((object, violation)) = history.check() {
        panic!("seed {seed}, {object}: {violation}");
    }
    // A minute of nothing but refusals would prove nothing.
    assert!(acknowledged > length.as_secs(), "{acknowledged} writes acknowledged");
}
