//! Many clients that create services at once, and what a service costs the daemon.

use std::time::{Duration, Instant};

use node_test::Node;

use crate::control::Control;
use crate::figure::{note, spread};
use crate::process::cpu;
use crate::{Effort, Outcome};

const CLIENTS: usize = 64;

pub(crate) fn run(effort: Effort) -> Outcome {
    let (runs, time) = match effort {
        Effort::Full => (5, Duration::from_secs(4)),
        Effort::Smoke => (3, Duration::from_secs(2)),
    };
    let (mut one, mut many, mut cost, mut ratio) = (vec![], vec![], vec![], vec![]);
    for _ in 0..runs {
        // A fresh store each time: what was created before must not matter, so it does not.
        let node = Node::founded();
        let alone =
            node.netns().run(|| storm(&node, 1, time).map_err(|error| error.to_string()))?;
        let crowd =
            node.netns().run(|| storm(&node, CLIENTS, time).map_err(|error| error.to_string()))?;
        one.push(alone.rate);
        many.push(crowd.rate);
        cost.push(crowd.cpu_us);
        ratio.push(crowd.rate / alone.rate);
    }

    note(format_args!("throughput: n = {runs} runs of {} s", time.as_secs()));
    spread("creates_1_client", &mut one, "1/s");
    spread("creates_64_clients", &mut many, "1/s");
    spread("creates_64_clients_daemon_cpu", &mut cost, "us");
    spread("creates_64_to_1_client", &mut ratio, "ratio");
    Ok(())
}

struct Pace {
    /// Services a second.
    rate: f64,
    /// Processor time of the daemon per service, in microseconds.
    cpu_us: f64,
}

fn storm(node: &Node, clients: usize, time: Duration) -> Result<Pace, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connected = Vec::new();
        for _ in 0..clients {
            let mut control = Control::of(&node.dir().join("state"))?;
            control.round_trip().await?;
            connected.push(control);
        }
        let (before, start) = (cpu(node.pid())?, Instant::now());
        let writers: Vec<_> = connected
            .into_iter()
            .map(|mut control| {
                tokio::spawn(async move {
                    let mut created = 0_u32;
                    while start.elapsed() < time {
                        control.create().await?;
                        created += 1;
                    }
                    Ok::<_, tonic::Status>(created)
                })
            })
            .collect();
        let mut created = 0;
        for writer in writers {
            created += writer.await??;
        }
        let (elapsed, spent) = (start.elapsed(), cpu(node.pid())? - before);
        let created = f64::from(created);
        Ok(Pace {
            rate: created / elapsed.as_secs_f64(),
            cpu_us: spent.as_secs_f64() * 1e6 / created,
        })
    })
}
