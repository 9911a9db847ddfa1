//! Plays histories: fresh ones, and every one that failed once.

use std::panic::catch_unwind;
use std::path::Path;

use sim::{InvalidScenario, Scenario};

/// Fresh histories that are played.
const SEEDS: u64 = 30;
/// Things that happen in each.
const STEPS: u64 = 250;

fn play(scenario: Scenario) {
    let played = catch_unwind(|| scenario.play());
    assert!(played.is_ok(), "keep this line as a file in integration/sim/scenarios: {scenario}");
}

#[test]
fn whatever_fails_the_cluster_keeps_its_word_and_comes_to_rest() {
    for seed in 0..SEEDS {
        play(Scenario { seed, nodes: 4, steps: STEPS });
    }
}

#[test]
fn what_failed_once_does_not_fail_again() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        play(text.parse().unwrap());
    }
}

#[test]
fn one_seed_gives_one_history() {
    let scenario = Scenario { seed: 99, nodes: 3, steps: 100 };

    assert_eq!(scenario.play(), scenario.play());
    assert_eq!(scenario.to_string().parse(), Ok(scenario));
    for text in ["", "seed 1", "seed x nodes 3 steps 1", "seed 1 nodes 3 steps 1 more"] {
        assert_eq!(text.parse::<Scenario>(), Err(InvalidScenario), "{text}");
    }
}
