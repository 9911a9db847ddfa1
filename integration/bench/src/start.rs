//! Founding a cluster: how long until the node is Ready, and what it then takes to sit idle.

use std::thread::sleep;
use std::time::{Duration, Instant};

use node_test::{Node, until};

use crate::figure::{note, spread};
use crate::process::{cpu, resident};
use crate::{Effort, Outcome};

/// Time that must pass with hardly any processor time used.
const IDLE: Duration = Duration::from_secs(2);
/// Processor time an idle daemon may use in it.
const HARDLY: Duration = Duration::from_millis(60);

pub(crate) fn run(effort: Effort) -> Outcome {
    let runs = match effort {
        Effort::Full => 9,
        Effort::Smoke => 3,
    };
    let (mut ready, mut memory, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let node = Node::start();

        let start = Instant::now();
        let founded = node.swarm(&["init"]);
        let elapsed = start.elapsed();

        let nodes = node.swarm(&["node", "ls", "--format", "json"]).objects();
        let is_ready = founded.code == Some(0) && nodes.iter().all(|it| it["Status"] == "Ready");
        if !is_ready {
            return Err(format!("the node is not Ready after init: {founded} {nodes:?}").into());
        }
        ready.push(elapsed.as_secs_f64());
        idle.push(idle_cpu(node.pid())?);
        memory.push(resident(node.pid())? as f64 / 1e6);
    }

    note(format_args!("start: n = {runs}, each a new daemon on a new containerd"));
    spread("init_to_ready", &mut ready, "s");
    spread("daemon_rss_idle", &mut memory, "MB");
    spread("daemon_cpu_idle", &mut idle, "ms/s");
    Ok(())
}

/// Waits until the daemon is idle; returns the processor time it takes then, per second.
fn idle_cpu(pid: u32) -> std::io::Result<f64> {
    let used = until("the daemon is idle", || {
        let before = cpu(pid).map_err(|why| why.to_string())?;
        sleep(IDLE);
        let used = cpu(pid).map_err(|why| why.to_string())? - before;
        if used <= HARDLY { Ok(used) } else { Err(format!("{} ms of work", used.as_millis())) }
    });
    Ok(used.as_secs_f64() * 1e3 / IDLE.as_secs_f64())
}
