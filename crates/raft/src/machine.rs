//! The state machine: applies committed entries to the state and publishes the result.
//!
//! The state lives in memory; after a start it is the last snapshot plus the entries after it.
//! `swarm-state` decides what an entry does. A replica that must not go on raises the fault,
//! which stops the store.

use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder};
use swarm_state::{Halt, Snapshot, State};

use crate::error::StopReason;
use crate::fault::Fault;
use crate::hub::Hub;
use crate::snapshot::{SnapshotFile, Snapshots};
use crate::type_config::{
    LogEntry, LogId, Reply, SnapshotMeta, StorageError, StorageIoError, StoredMembership, Types,
};

pub(crate) struct Machine {
    state: State,
    applied: Option<LogId>,
    membership: StoredMembership,
    snapshots: Snapshots,
    hub: Arc<Hub>,
    fault: Fault,
}

impl Machine {
    /// Begins with the snapshot found on disk, or with nothing.
    pub(crate) fn new(
        found: Option<(SnapshotMeta, State)>,
        snapshots: Snapshots,
        backlog: usize,
        fault: Fault,
    ) -> Self {
        let (meta, state) = found.unwrap_or_default();
        let hub = Arc::new(Hub::new(state.snapshot(), backlog, fault.clone()));
        let (applied, membership) = (meta.last_log_id, meta.last_membership);
        Self { state, applied, membership, snapshots, hub, fault }
    }

    pub(crate) fn hub(&self) -> Arc<Hub> {
        self.hub.clone()
    }

    fn apply_entry(&mut self, entry: LogEntry) -> Result<Reply, Halt> {
        let id = entry.log_id;
        let mut reply = Reply::default();
        match entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(id), membership);
            }
            EntryPayload::Normal(groups) => {
                let applied = self.state.apply(id.index, &groups)?;
                let check = self.state.newest_check();
                self.hub.publish(self.state.snapshot(), applied.events, check);
                reply.results = applied.results;
            }
        }
        self.applied = Some(id);
        Ok(reply)
    }

    fn halted(&self, id: LogId, halt: Halt) -> StorageError {
        let error = StorageIoError::apply(id, AnyError::new(&halt));
        self.fault.raise(StopReason::State(halt));
        error.into()
    }

    fn failed(&self, reason: StopReason) -> StorageError {
        failed(&self.fault, reason)
    }
}

fn failed(fault: &Fault, reason: StopReason) -> StorageError {
    let error = StorageIoError::read_snapshot(None, AnyError::new(&reason));
    fault.raise(reason);
    error.into()
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut replies = Vec::new();
        for entry in entries {
            let id = entry.log_id;
            let reply = self.apply_entry(entry).map_err(|halt| self.halted(id, halt))?;
            replies.push(reply);
        }
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let meta = SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
            snapshot_id: String::new(),
        };
        let (snapshots, fault) = (self.snapshots.clone(), self.fault.clone());
        Builder { meta, state: self.state.snapshot(), snapshots, fault }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotFile>, StorageError> {
        self.snapshots.receive().map(Box::new).map_err(|reason| self.failed(reason))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<SnapshotFile>,
    ) -> Result<(), StorageError> {
        let installed = self.snapshots.install(meta.clone(), *snapshot).await;
        self.state = installed.map_err(|reason| self.failed(reason))?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.hub.replace(self.state.snapshot());
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<openraft::Snapshot<Types>>, StorageError> {
        let current = self.snapshots.get();
        Ok(current.map(|(meta, file)| openraft::Snapshot { meta, snapshot: Box::new(file) }))
    }
}

/// Writes down the state as it was when the builder was made, while entries go on.
pub(crate) struct Builder {
    meta: SnapshotMeta,
    state: Snapshot,
    snapshots: Snapshots,
    fault: Fault,
}

impl RaftSnapshotBuilder<Types> for Builder {
    async fn build_snapshot(&mut self) -> Result<openraft::Snapshot<Types>, StorageError> {
        let built = self.snapshots.build(self.meta.clone(), self.state.clone()).await;
        let (meta, file) = built.map_err(|reason| failed(&self.fault, reason))?;
        Ok(openraft::Snapshot { meta, snapshot: Box::new(file) })
    }
}
