//! Determinism: the same entries give the same hash in another process.

use std::process::Command;

use swarm_types::IdSource;

use crate::kit::World;
use crate::laws::random_entry;

const ROLE: &str = "SWARM_STATE_REPLICA";

#[test]
fn two_processes_compute_the_same_hashes() {
    let ours = replica();
    if std::env::var_os(ROLE).is_some() {
        println!("replica {ours}");
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::two_processes_compute_the_same_hashes", "--nocapture"])
        .env(ROLE, "other")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("replica {ours}")), "{text}");
}

/// One hash over the hashes after each of many random entries.
fn replica() -> String {
    let mut all = String::new();
    for seed in 0..20 {
        let mut world = World::new();
        world.ids = IdSource::seeded(seed);
        for number in 0..40u8 {
            let salt = number.wrapping_mul(37) ^ u8::try_from(seed).unwrap();
            let dice: Vec<u8> = (0..12u8).map(|at| salt ^ at.wrapping_mul(29)).collect();
            random_entry(&mut world, &dice);
        }
        all.push_str(&format!("{:02x?}", world.view().hash()));
    }
    all
}
