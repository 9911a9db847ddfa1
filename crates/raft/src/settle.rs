//! Ends a change of the members that an earlier leader left half done.

use std::collections::BTreeSet;

use openraft::ChangeMembers;
use tokio::sync::watch;

use crate::fault::Fault;
use crate::leadership::Leadership;
use crate::type_config::{Member, MemberId, Types};

/// Ends a change that an earlier leader left half done.
pub(crate) fn finish_last() -> ChangeMembers<MemberId, Member> {
    ChangeMembers::AddVoterIds(BTreeSet::new())
}

/// Ends what an earlier leader left half done, whenever this member begins to lead.
pub(crate) async fn settle(
    raft: openraft::Raft<Types>,
    mut leadership: watch::Receiver<Leadership>,
    fault: Fault,
) {
    let half = |raft: &openraft::Raft<Types>| {
        let metrics = raft.metrics();
        let joint = metrics.borrow().membership_config.membership().get_joint_config().len();
        joint > 1
    };
    loop {
        let leads = leadership.wait_for(|now| matches!(now, Leadership::Leader { .. }));
        let Ok(led) = leads.await.map(|led| *led) else { return };
        let mut lost = leadership.clone();
        tokio::select! {
            ended = raft.change_membership(finish_last(), false), if half(&raft) => {
                tracing::info!(ended = ended.is_ok(), "a membership that was left half done");
            }
            _ = fault.raised() => return,
            _ = lost.wait_for(|now| *now != led) => continue,
        }
        tokio::select! {
            _ = fault.raised() => return,
            _ = lost.wait_for(|now| *now != led) => {}
        }
    }
}
