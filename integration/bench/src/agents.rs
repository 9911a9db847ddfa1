//! Many simulated nodes on one real manager: what their heartbeats and reports cost it.
//!
//! A simulated node has its own certificate, connection, session and stream of assignments, and
//! pretends to run the one task it is given. It says that it lives every two seconds, and reports
//! the state of its task every second; each report is agreed on before it is answered.

mod simulated;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use node_test::Node;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::control::Control;
use crate::figure::{figure, note};
use crate::process::{cpu, resident};
use crate::{Effort, Outcome};
use simulated::{Failure, Gate, Simulated};

/// How long all nodes may take to have their tasks.
const READY: Duration = Duration::from_secs(180);
/// Nodes that join at once.
const AT_ONCE: usize = 16;

/// What the simulated nodes did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Nodes that run their task.
    running: AtomicU64,
    /// Reports that were answered.
    reports: AtomicU64,
    /// Longest time a report took, in microseconds.
    slowest_us: AtomicU64,
}

pub(crate) fn run(effort: Effort) -> Outcome {
    let (counts, time) = match effort {
        Effort::Full => (&[500, 1000, 2000, 5000][..], Duration::from_secs(20)),
        Effort::Smoke => (&[100][..], Duration::from_secs(3)),
    };
    for &count in counts {
        // A fresh cluster each time: nodes of the one before would be missed.
        let node = Node::founded();
        let token = node.swarm(&["join-token", "worker", "-q"]).ok().to_owned();
        node.netns().run(|| measure(&node, &token, count, time).map_err(|it| it.to_string()))?;
    }
    Ok(())
}

fn measure(node: &Node, token: &str, count: usize, time: Duration) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let control = Control::of(&node.dir().join("state")).map_err(|why| why.to_string());
        control?.create_everywhere().await?;
        let tally = Arc::new(Tally::default());
        let mut nodes = JoinSet::new();
        join(token, count, |node| _ = nodes.spawn(node.live(tally.clone()))).await?;
        let deadline = Instant::now() + READY;
        while tally.running.load(Ordering::Relaxed) < count as u64 {
            let there = tally.running.load(Ordering::Relaxed);
            if Instant::now() > deadline {
                return Err(format!("{there} of {count} nodes have their task").into());
            }
            if let Some(ended) = nodes.try_join_next() {
                ended??;
            }
            sleep(Duration::from_millis(100)).await;
        }
        weigh(node, &tally, count, time).await?;
        match nodes.try_join_next() {
            Some(ended) => Ok(ended??),
            None => Ok(()),
        }
    })
}

/// Takes the figures of a cluster at work.
async fn weigh(node: &Node, tally: &Tally, count: usize, time: Duration) -> Result<(), Failure> {
    sleep(Duration::from_secs(3)).await;
    tally.slowest_us.store(0, Ordering::Relaxed);
    let told = tally.reports.load(Ordering::Relaxed);
    let (before, start) = (cpu(node.pid())?, Instant::now());
    sleep(time).await;
    let elapsed = start.elapsed().as_secs_f64();
    let cores = (cpu(node.pid())? - before).as_secs_f64() / elapsed;
    let reports = (tally.reports.load(Ordering::Relaxed) - told) as f64 / elapsed;
    let slowest = tally.slowest_us.load(Ordering::Relaxed) as f64 / 1e3;
    note(format_args!("agents: {count} nodes for {elapsed:.0} s"));
    figure(&format!("agents_{count}_manager_cpu"), cores, "cores");
    figure(&format!("agents_{count}_reports"), reports, "1/s");
    figure(&format!("agents_{count}_report_slowest"), slowest, "ms");
    figure(&format!("agents_{count}_manager_rss"), resident(node.pid())? as f64 / 1e6, "MB");
    Ok(())
}

/// Lets so many nodes in, each of which lives from then on: what they had to do at once would all
/// wait for the one thread here.
async fn join(token: &str, count: usize, mut joined: impl FnMut(Simulated)) -> Result<(), Failure> {
    let gate = Gate::open(token)?;
    let mut joining = JoinSet::new();
    let start = Instant::now();
    for _ in 0..count {
        if joining.len() >= AT_ONCE
            && let Some(simulated) = joining.join_next().await
        {
            joined(simulated??);
        }
        joining.spawn(gate.clone().admit());
    }
    while let Some(simulated) = joining.join_next().await {
        joined(simulated??);
    }
    figure(
        &format!("agents_{count}_admitted"),
        count as f64 / start.elapsed().as_secs_f64(),
        "1/s",
    );
    Ok(())
}
