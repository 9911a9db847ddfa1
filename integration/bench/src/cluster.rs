//! What the loss of a leader, a worker, or both costs a cluster of three managers and two
//! workers, made by `swarm dev`.
//!
//! Every loss is one that nobody was told of: a daemon killed at once, a cable pulled. Beside the
//! figures stand what the disk takes for a sync meanwhile, and the time others had the processor.

mod host;
mod rig;

use std::time::Duration;

use crate::figure::{figure, note, spread};
use crate::process::resident;
use crate::{Effort, Outcome};
pub(crate) use host::Host;
use rig::{MANAGERS, Rig, Stop};

/// Tasks that move when a worker is lost.
const TASKS: usize = 30;

pub(crate) fn run(effort: Effort) -> Outcome {
    let (kills, rounds) = match effort {
        Effort::Full => (20, 10),
        Effort::Smoke => (2, 1),
    };
    let host = Host::look()?;
    let rig = Rig::up()?;
    for (name, node) in [("manager", "m2"), ("worker", "w1")] {
        figure(&format!("cluster_{name}_rss"), resident(rig.pid(node)?)? as f64 / 1e6, "MB");
    }
    repeat("cluster_leader_killed_to_write", kills, || rig.lose_leader(Stop::Killed))?;
    repeat("cluster_leader_stopped_to_write", rounds, || rig.lose_leader(Stop::Asked))?;

    rig.serve(TASKS)?;
    let (mut down, mut moved) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let lost = rig.lose_worker(TASKS)?;
        down.push(lost.down.as_secs_f64());
        moved.push(lost.moved.as_secs_f64());
    }
    note(format_args!("cluster: n = {rounds} workers cut off, {TASKS} tasks"));
    spread("cluster_worker_cut_to_down", &mut down, "s");
    spread("cluster_worker_cut_to_moved", &mut moved, "s");
    repeat("cluster_leader_and_worker_lost_to_moved", rounds, || rig.lose_both(TASKS))?;
    repeat("cluster_worker_joins", rounds, || rig.join("worker"))?;
    repeat("cluster_manager_joins", rounds, || rig.join("manager"))?;
    host.tell()
}

/// Takes a figure so many times.
fn repeat(
    name: &str,
    rounds: usize,
    mut round: impl FnMut() -> Result<Duration, Box<dyn std::error::Error>>,
) -> Outcome {
    let mut took = Vec::new();
    for _ in 0..rounds {
        took.push(round()?.as_secs_f64());
    }
    note(format_args!("{name}: n = {rounds}, {MANAGERS} managers"));
    spread(name, &mut took, "s");
    Ok(())
}
