//! Says which nodes have gone silent, while this manager leads; and notes that it does, for those
//! who ask whether it is fit to serve.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use swarm_raft::{Lane, Leadership};
use swarm_types::{Change, Group, IdSource};
use tokio::time::{MissedTickBehavior, interval};

use super::hearing::{Hearing, News};
use super::liveness::{MISSED, Silent};
use super::pace::{self, Alarm, Pace};
use crate::Core;
use crate::clock::boot_time;

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(500);
/// How long a verdict may take to be agreed on; it is given again at the next look.
const PROPOSE_DEADLINE: Duration = Duration::from_secs(5);

/// Judges whenever this manager leads, until it stops.
pub(crate) async fn run(core: Arc<Core>) {
    let leadership = core.raft.leadership();
    let (mut term, mut pace, mut hearing) = (None, Pace::default(), Hearing::default());
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = core.stopping.cancelled() => return,
        }
        let now = *leadership.borrow();
        let leads = matches!(now, Leadership::Leader { .. });
        if leads {
            core.standing().leads(boot_time());
        }
        if term != Some(now) {
            let mut liveness = core.hub.liveness();
            if leads {
                liveness.begin(boot_time());
                pace.begin(&pace::lost(&core.raft.snapshot()), boot_time());
            } else {
                liveness.end()
            }
            (term, hearing) = (Some(now), Hearing::default());
        }
        if leads {
            listen(&core, &mut hearing);
            // All at once: when a rack falls silent, its last node must not wait for the others.
            let verdicts =
                judge(&core, &mut pace).into_iter().map(|silent| declare_down(&core, now, silent));
            tokio::select! {
                _ = join_all(verdicts) => {}
                () = core.stopping.cancelled() => return,
            }
        }
    }
}

/// Tells of managers that are not heard any more, and of those that are again.
fn listen(core: &Core, hearing: &mut Hearing) {
    let managers = core.managers().into_iter().map(|(node, _)| node).collect();
    for (node, news) in hearing.look(&managers, &core.reachable()) {
        match news {
            News::Lost => tracing::warn!(%node, "a manager is not heard"),
            News::Back => tracing::info!(%node, "a manager is heard again"),
        }
    }
}

fn judge(core: &Core, pace: &mut Pace) -> Vec<Silent> {
    let snapshot = core.raft.snapshot();
    let Some(cluster) = snapshot.cluster() else { return Vec::new() };
    let (now, grace) = (boot_time(), cluster.spec.heartbeat_period * MISSED);
    let nodes = snapshot.nodes().map(AsRef::as_ref);
    let look = core.hub.liveness().judge(nodes, grace, EVERY, now);
    let verdicts = pace.admit(look, grace, now);
    if let Some(Alarm { silent, of }) = verdicts.alarm {
        tracing::error!(
            silent,
            of,
            "more than half of the nodes fell silent at once: look at the network between \
             managers and nodes; they are given up slowly, a tenth of them a minute"
        );
    }
    verdicts.down
}

async fn declare_down(core: &Core, led: Leadership, silent: Silent) {
    let group = Group {
        request: IdSource::system().draw(),
        expect: Vec::new(),
        changes: vec![Change::NodeDown {
            node: silent.node,
            session: silent.session,
            message: "heartbeat failure".to_owned(),
        }],
    };
    let deadline = Instant::now() + PROPOSE_DEADLINE;
    match core.raft.propose_as(led, Lane::Control, group, deadline).await {
        Ok(_) => tracing::warn!(node = %silent.node, "node is down: no heartbeat"),
        Err(error) => tracing::debug!(node = %silent.node, %error, "verdict not agreed on"),
    }
}
