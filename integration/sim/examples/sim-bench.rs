//! Figures of the simulator, one `name value unit` a line.

#![allow(clippy::print_stdout, reason = "figures are its results")]

use std::time::Instant;

use sim::Scenario;

fn main() {
    let start = Instant::now();
    let steps: u64 = (100..120).map(|seed| Scenario { seed, nodes: 4, steps: 250 }.play()).sum();
    println!("sim_steps {:.0} steps/s", steps as f64 / start.elapsed().as_secs_f64());
}
