//! Takes a container away.

use containerd_client::services::v1::DeleteContainerRequest;
use containerd_client::services::v1::snapshots::RemoveSnapshotRequest;

use super::create::check_id;
use super::shim::Shim;
use super::{Status, list};
use crate::error::Tolerate;
use crate::rpc::{QUICK, rpc};
use crate::{Error, Runtime};

impl Runtime {
    /// Kills the process if it runs and removes everything [`Runtime::create`] and
    /// [`Runtime::start`] made: process, shim, cgroup, record, root file system, output, and the volumes of
    /// its own.
    ///
    /// Pieces that are gone already are passed over, and so a container that is not there is
    /// fine. The record goes only after the process: what still runs stays listed.
    ///
    /// # Errors
    ///
    /// The first failure, after trying the rest; call again.
    pub async fn remove(&self, id: &str) -> Result<(), Error> {
        check_id(id)?;
        // A start that has begun is waited for.
        let _turn = self.lives.lock(id).await;
        self.end(id).await?;
        self.delete_task(id).await?;
        let record = match self.container(id).await {
            Ok(record) => Some(record),
            Err(Error::NotFound { .. }) => None,
            Err(failure) => return Err(failure),
        };
        if record.as_ref().is_some_and(|it| list::status(None, it) == Status::Created) {
            self.end_shim(id).await;
        }
        let kept = record.as_ref().map(list::kept);
        // While the record names them.
        self.release_volumes(id, kept.as_ref()).await?;
        let request = DeleteContainerRequest { id: id.into() };
        let record = rpc("delete container", QUICK, self.link.containers().delete(request)).await;
        let snapshot = self.remove_snapshot(id).await;
        self.remove_execs(id);
        let output = self.remove_logs(id).await;
        record.or_absent()?;
        snapshot?;
        output
    }

    /// Ends the shim of a container without a process, which a start that was cut off left.
    async fn end_shim(&self, id: &str) {
        let namespace = self.options.namespace.clone();
        let address = self.options.socket.to_string_lossy().into_owned();
        let shim = Shim { namespace, id: id.into(), address };
        let ended = tokio::task::spawn_blocking(move || shim.end()).await;
        if let Err(error) = ended {
            tracing::error!(%error, id, "look for a shim");
        }
    }

    pub(super) async fn remove_snapshot(&self, id: &str) -> Result<(), Error> {
        let (snapshotter, key) = (self.options.snapshotter.clone(), id.to_owned());
        let request = RemoveSnapshotRequest { snapshotter, key };
        let removed =
            rpc("remove snapshot", QUICK * 3, self.link.snapshots().remove(request)).await;
        removed.or_absent().map(drop)
    }
}
