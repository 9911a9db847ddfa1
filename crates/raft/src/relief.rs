//! A leader whose disk is slow hands over to a member whose disk is not.
//!
//! raft waits for the disk of the leader with every entry, and all members with it. While the
//! disk hangs the leader shows itself to nobody, so another one is elected; where it is slow only,
//! nobody else would notice. What is too slow says [`Tolerance`].

use std::collections::BTreeSet;
use std::sync::Weak;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;

use crate::leadership::Leadership;
use crate::pace::Tolerance;
use crate::raft::{Inner, Raft};
use crate::type_config::MemberId;

/// Leases that handing over takes at most: one to end what was begun, one of silence, two for the
/// heir to stand; and one to wait for a change of the membership.
const PATIENCE: u32 = 5;

/// Looks while this member leads; the owner drops it to stop it.
pub(crate) async fn relieve(
    raft: Weak<Inner>,
    mut leadership: watch::Receiver<Leadership>,
    tolerance: Tolerance,
) {
    let leads = |now: &Leadership| matches!(now, Leadership::Leader { .. });
    // The term, and the moment from which on it counts.
    let mut led = (0, Instant::now());
    while let Ok(Leadership::Leader { term, .. }) = leadership.wait_for(leads).await.map(|it| *it) {
        // A slow disk may cost the quorum for a moment: only another term begins anew.
        if led.0 != term {
            led = (term, Instant::now());
        }
        sleep(tolerance.look).await;
        let Some(raft) = raft.upgrade().map(Raft) else { return };
        if let Some(heir) = raft.relief(&tolerance, led.1.elapsed())
            && !raft.hand_over_as_slow(heir).await
        {
            led.1 = Instant::now();
        }
    }
}

impl Raft {
    /// The voter that should lead in this member's place, if any. That is of use only if the others
    /// agree on an entry without this disk.
    fn relief(&self, tolerance: &Tolerance, leading_for: Duration) -> Option<MemberId> {
        let own = self.0.log.pace()?;
        let membership = self.membership();
        let others: BTreeSet<MemberId> =
            membership.voter_ids().filter(|id| *id != self.0.member).collect();
        let majority = membership.voter_ids().count() / 2 + 1;
        let known = self.0.link.fastest(&others, self.0.lease);
        let ((heir, _), (_, slowest)) = (*known.first()?, *known.get(majority - 1)?);
        if !tolerance.should_hand_over(own, slowest, leading_for) {
            return None;
        }
        tracing::warn!(
            own_ms = own.as_millis(),
            others_ms = slowest.as_millis(),
            to = membership.get_node(&heir).map(tracing::field::display),
            "the disk is slow to write the log: leadership is handed over"
        );
        Some(heir)
    }

    async fn hand_over_as_slow(&self, heir: MemberId) -> bool {
        let deadline = Instant::now() + PATIENCE * self.0.lease;
        let done = self.hand_over_to(Some(heir), deadline).await;
        done.inspect_err(|why| tracing::warn!(%why, "this member leads on, slowly")).is_ok()
    }
}
