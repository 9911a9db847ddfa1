//! Tells the leader which nodes this manager hears, and takes its word that it leads.
//!
//! Ages are told as of a time on the leader's clock, reckoned from its last answer: what is long
//! on its way, because a machine slept or a line was slow, is not taken for younger than it is.

use std::sync::Arc;
use std::time::Duration;

use swarm_crypto::Credentials;
use swarm_proto::v1::managers_client::ManagersClient;
use swarm_proto::{field, v1};
use swarm_raft::Leadership;
use swarm_types::NodeId;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::Status;
use tonic::transport::Channel;

use crate::Core;
use crate::clock::boot_time;

/// Time between two calls.
const EVERY: Duration = Duration::from_millis(500);
/// How long one may take; the next carries newer ages.
const PATIENCE: Duration = Duration::from_secs(1);

/// Vouches while another manager leads, until this one stops.
pub(crate) async fn run(core: Arc<Core>, credentials: Credentials) {
    let (mut leadership, mut members) = (core.raft.leadership(), core.raft.members());
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut line: Option<Line> = None;
    loop {
        members.mark_unchanged();
        let leader = *leadership.borrow_and_update();
        if let Leadership::Follower { leader: Some(leader) } = leader {
            line = line.filter(|line| line.leads_to(&core, leader));
            line = line.or_else(|| Line::new(&core, leader, &credentials));
            let vouched = async {
                match &mut line {
                    Some(line) => line.vouch(&core).await,
                    None => Ok(()),
                }
            };
            tokio::select! {
                vouched = timeout(PATIENCE, vouched) => match vouched {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%leader, %error, "the leader does not listen"),
                    Err(_) => tracing::debug!(%leader, "the leader does not answer"),
                },
                changed = leadership.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                () = core.stopping.cancelled() => return,
            }
        }
        tokio::select! {
            _ = ticks.tick() => {}
            changed = leadership.changed() => if changed.is_err() { return },
            // Whom the leader reaches is another question then.
            changed = members.changed() => if changed.is_err() { return },
            () = core.stopping.cancelled() => return,
        }
    }
}

/// The way to one leader, and what its clock showed.
struct Line {
    leader: NodeId,
    addr: String,
    client: ManagersClient<Channel>,
    clock: Option<Clock>,
}

/// What the leader's clock showed, and when that came here.
#[derive(Clone, Copy, Debug)]
struct Clock {
    number: u64,
    showed_ms: u64,
    at: Duration,
}

impl Clock {
    /// What it shows now, at the least.
    fn now_ms(self, now: Duration) -> u64 {
        let since = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        self.showed_ms.saturating_add(since)
    }
}

impl Line {
    fn new(core: &Core, leader: NodeId, credentials: &Credentials) -> Option<Self> {
        let addr = core.address_of(leader)?;
        match swarm_crypto::tls::channel(&addr, credentials) {
            Ok(channel) => {
                Some(Self { leader, addr, client: ManagersClient::new(channel), clock: None })
            }
            Err(error) => {
                tracing::warn!(%leader, %error, "the leader has no address");
                None
            }
        }
    }

    fn leads_to(&self, core: &Core, leader: NodeId) -> bool {
        self.leader == leader && core.address_of(leader).as_ref() == Some(&self.addr)
    }

    /// Tells what is heard; twice when the leader's clock was not known before.
    async fn vouch(&mut self, core: &Core) -> Result<(), Status> {
        let known = self.clock.map(|clock| clock.number);
        self.tell(core).await?;
        if self.clock.map(|clock| clock.number) != known {
            self.tell(core).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, core: &Core) -> Result<(), Status> {
        let asked = boot_time();
        let request = v1::VouchRequest {
            epoch: core.raft.info().epoch,
            nodes: core.hub.heard(asked),
            clock: self.clock.map_or(0, |clock| clock.number),
            as_of_ms: self.clock.map_or(0, |clock| clock.now_ms(asked)),
        };
        let answer = self.client.vouch(request).await?.into_inner();
        self.clock =
            Some(Clock { number: answer.clock, showed_ms: answer.now_ms, at: boot_time() });
        let reachable = answer.reachable.iter().filter_map(|id| field::id(id, "reachable").ok());
        core.standing().told(answer.applied_index, asked, reachable.collect());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However long the answer and the next call are on their way, and whenever the ages
        /// are taken: the reckoned time is not after the true one.
        #[test]
        fn the_reckoned_time_is_never_late(
            showed in 0..1u64 << 40,
            back in 0..100_000u64,
            held in 0..10_000_000u64,
        ) {
            // The clock showed `showed` when the answer was sent, which came `back` later.
            let clock = Clock { number: 1, showed_ms: showed, at: Duration::from_millis(back) };
            let taken = Duration::from_millis(back + held);

            prop_assert!(clock.now_ms(taken) <= showed + back + held);
            prop_assert_eq!(clock.now_ms(taken), showed + held);
        }
    }
}
