//! `Stats`: what the kernel counts of each task that runs here.

use std::time::Duration;

use swarm_proto::{field, v1};
use swarm_runtime::{Error, Runtime, Stats, Status as Life};
use swarm_types::TaskId;
use tokio::time::{MissedTickBehavior, interval};

use super::samples::{Latest, missing};
use super::task_of;
use crate::nanos;

/// Time between two samples.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// Tells one sample, or one each second.
pub(super) async fn run(runtime: Runtime, tasks: Vec<TaskId>, follow: bool, latest: Latest) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let sample = sample(&runtime, &tasks).await;
        latest.send_replace(sample.unwrap_or_else(|error| missing(format!("this node: {error}"))));
        if !follow {
            return;
        }
    }
}

/// Tasks that do not run are left out.
async fn sample(runtime: &Runtime, wanted: &[TaskId]) -> Result<v1::StatsResponse, Error> {
    let tasks = if wanted.is_empty() { running(runtime).await? } else { wanted.to_vec() };
    let mut sampled = Vec::new();
    for task in tasks {
        match runtime.stats(task.as_str()).await {
            Ok(stats) => sampled.push(shown(task, &stats)),
            Err(Error::NotFound { .. } | Error::NoProcess { .. }) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(v1::StatsResponse { tasks: sampled, missing: Vec::new() })
}

async fn running(runtime: &Runtime) -> Result<Vec<TaskId>, Error> {
    let all = runtime.containers().await?.into_iter();
    let running = all.filter(|one| matches!(one.status, Life::Running { .. }));
    Ok(running.filter_map(|one| task_of(&one.id)).collect())
}

fn shown(task: TaskId, stats: &Stats) -> v1::TaskStats {
    v1::TaskStats {
        task: field::put_id(task),
        at_ns: nanos(stats.at),
        cpu_ns: stats.cpu_ns,
        memory_bytes: stats.memory_bytes,
        memory_limit_bytes: stats.memory_limit_bytes,
        pids: stats.pids,
        network_received_bytes: stats.network_received_bytes,
        network_sent_bytes: stats.network_sent_bytes,
        block_read_bytes: stats.block_read_bytes,
        block_written_bytes: stats.block_written_bytes,
        online_cpus: stats.online_cpus,
        system_cpu_ns: stats.system_cpu_ns,
    }
}
