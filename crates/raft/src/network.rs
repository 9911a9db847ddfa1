//! The way to other members. There is no transport: every member counts as unreachable, by
//! name. A cluster of one never calls this.

use std::future::Future;

use openraft::error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, Snapshot};

use crate::type_config::{Member, MemberId, Types, Vote};

pub(crate) struct Nowhere;

/// One member that cannot be reached.
#[derive(Debug, Clone, thiserror::Error)]
#[error("manager {0} cannot be reached: this version speaks to no other manager")]
pub(crate) struct Away(Member);

impl Away {
    fn unreachable(&self) -> Unreachable {
        Unreachable::new(self)
    }
}

impl RaftNetworkFactory<Types> for Nowhere {
    type Network = Away;

    async fn new_client(&mut self, _: MemberId, member: &Member) -> Away {
        Away(member.clone())
    }
}

type Failed = RPCError<MemberId, Member, RaftError<MemberId>>;

impl RaftNetwork<Types> for Away {
    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<MemberId>, Failed> {
        Err(self.unreachable().into())
    }

    async fn vote(
        &mut self,
        _: VoteRequest<MemberId>,
        _: RPCOption,
    ) -> Result<VoteResponse<MemberId>, Failed> {
        Err(self.unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _: Vote,
        _: Snapshot<Types>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<MemberId>, StreamingError<Types, Fatal<MemberId>>> {
        Err(self.unreachable().into())
    }
}
