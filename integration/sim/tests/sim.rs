//! Plays histories: fresh ones, and every one that failed once.

use std::ops::Range;
use std::panic::catch_unwind;
use std::path::Path;

use sim::{InvalidScenario, Scenario};

/// Fresh histories of a lone driver.
const DRIVERS: u64 = 30;
/// Fresh histories of several managers; `SWARM_SIM_SEEDS` takes more, from `SWARM_SIM_FIRST`.
const FLEETS: u64 = 30;
/// Things that happen in each.
const STEPS: u64 = 250;

fn play(scenario: Scenario) {
    let played = catch_unwind(|| scenario.play());
    assert!(played.is_ok(), "keep this line as a file in integration/sim/scenarios: {scenario}");
}

/// Plays one history a seed, on all processors.
fn play_all(seeds: Range<u64>, scenario: impl Fn(u64) -> Scenario + Sync) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for nth in 0..processors {
            let (seeds, scenario) = (seeds.clone(), &scenario);
            scope.spawn(move || seeds.skip(nth).step_by(processors).map(scenario).for_each(play));
        }
    });
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| {
        value.parse().unwrap_or_else(|why| panic!("{name} is {value}: {why}"))
    })
}

#[test]
fn whatever_fails_the_cluster_keeps_its_word_and_comes_to_rest() {
    play_all(0..DRIVERS, |seed| Scenario { seed, managers: 0, nodes: 4, steps: STEPS });
}

#[test]
fn whatever_fails_several_managers_speak_with_one_voice() {
    let first = setting("SWARM_SIM_FIRST", 0);
    let seeds = first..first + setting("SWARM_SIM_SEEDS", FLEETS);
    play_all(seeds, |seed| {
        let managers = if seed % 4 == 3 { 5 } else { 3 };
        Scenario { seed, managers, nodes: 4, steps: STEPS }
    });
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
    let scenario = Scenario { seed: 99, managers: 0, nodes: 3, steps: 100 };

    assert_eq!(scenario.play(), scenario.play());
    assert_eq!(scenario.to_string().parse(), Ok(scenario));
    for text in ["", "seed 1", "seed x nodes 3 steps 1", "seed 1 nodes 3 steps 1 more"] {
        assert_eq!(text.parse::<Scenario>(), Err(InvalidScenario), "{text}");
    }
}
