//! Figures of the simulator, one `name value unit` a line.
//!
//! `sim-bench [SEEDS [FIRST [MANAGERS]]]` plays that many histories; each that fails is named on
//! stderr as the line to keep in `scenarios/`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures are its results")]

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

use sim::Scenario;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|number| number.parse::<u64>().ok());
    let (seeds, first) = (numbers.next().unwrap_or(20), numbers.next().unwrap_or(100));
    let managers = numbers.next().and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
    let start = Instant::now();
    let (mut steps, mut failed) = (0, 0);
    for seed in first..first + seeds {
        let scenario = Scenario { seed, managers, nodes: 4, steps: 250 };
        match catch_unwind(|| scenario.play()) {
            Ok(played) => steps += played,
            Err(_) => {
                eprintln!("failed: {scenario}");
                failed += 1;
            }
        }
    }
    println!("sim_steps {:.0} steps/s", steps as f64 / start.elapsed().as_secs_f64());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
