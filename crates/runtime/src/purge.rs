//! Taking away all that a namespace of containerd holds, and the namespace; everything in it is
//! ours. Volumes go with it, as what is mounted on them has to be let go first.

use std::collections::BTreeSet;
use std::time::Duration;

use containerd_client::services::v1::{
    DeleteNamespaceRequest, ListImagesRequest, ListNamespacesRequest, ListRequest, ListTasksRequest,
};
use tokio::time::{Instant, sleep};

use crate::error::Tolerate;
use crate::image::Dropped;
use crate::rpc::{QUICK, rpc};
use crate::{Error, Runtime, Spare, lease};

/// How long containerd may take to see that the namespace is empty.
const EMPTY: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

/// What a purge took away.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Purged {
    /// Ids of containers.
    pub containers: Vec<String>,
    /// Names of volumes.
    pub volumes: Vec<String>,
    /// Names of images; their content went with them.
    pub images: Vec<String>,
    /// The namespace, when there was one.
    pub namespace: Option<String>,
}

impl Runtime {
    /// Removes every container, running or not, volume, image and lease, and the namespace, with
    /// which this handle ends. `purged` is filled as things go, and holds also after a failure.
    ///
    /// # Errors
    ///
    /// The first failure; call again.
    pub async fn purge(self, purged: &mut Purged) -> Result<(), Error> {
        for id in self.everything().await? {
            self.remove(&id).await?;
            purged.containers.push(id);
        }
        for volume in self.volumes().await? {
            self.remove_volume(&volume.name).await?;
            purged.volumes.push(volume.name);
        }
        // What follows would make it.
        let request = ListNamespacesRequest::default();
        let found = rpc("list namespaces", QUICK, self.link.namespaces().list(request)).await?;
        if !found.namespaces.iter().any(|it| it.name == self.options.namespace) {
            return Ok(());
        }
        let request = ListImagesRequest::default();
        let images = rpc("list images", QUICK, self.link.images().list(request)).await?.images;
        for image in images {
            if self.drop_name(&image, Spare::Used).await? == Dropped::Gone {
                purged.images.push(image.name);
            }
        }
        // The last of them, at its end, takes with it what nothing refers to.
        let last = lease::take(&self.link, "purge").await?;
        let request = ListRequest::default();
        let leases = rpc("list leases", QUICK, self.link.leases().list(request)).await?.leases;
        for lease in leases.iter().filter(|lease| lease.id != last) {
            lease::release(&self.link, &lease.id).await?;
        }
        lease::release(&self.link, &last).await?;
        self.drop_namespace().await?;
        purged.namespace = Some(self.options.namespace.clone());
        Ok(())
    }

    /// Ids of containers, and of processes whose record is gone.
    async fn everything(&self) -> Result<BTreeSet<String>, Error> {
        let records = self.container_records().await?;
        let request = ListTasksRequest::default();
        let tasks = rpc("list tasks", QUICK * 3, self.link.tasks().list(request)).await?.tasks;
        let ids = records.into_iter().map(|it| it.id);
        Ok(ids.chain(tasks.into_iter().map(|it| it.id)).collect())
    }

    async fn drop_namespace(&self) -> Result<(), Error> {
        let deadline = Instant::now() + EMPTY;
        loop {
            let request = DeleteNamespaceRequest { name: self.options.namespace.clone() };
            let mut namespaces = self.link.namespaces();
            match rpc("delete namespace", QUICK, namespaces.delete(request)).await.or_absent() {
                Ok(_) => return Ok(()),
                // What was collected is still counted for a moment.
                Err(refusal) if refusal.is(tonic::Code::FailedPrecondition) => {
                    if Instant::now() > deadline {
                        return Err(refusal);
                    }
                    sleep(PAUSE).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// The version of the containerd behind a socket. Changes nothing there.
///
/// # Errors
///
/// [`Error::Unavailable`] when none answers.
pub async fn containerd_version(socket: &std::path::Path) -> Result<String, Error> {
    let link = crate::rpc::Link::new(socket, "swarm")?;
    Ok(rpc("version", QUICK, link.version().version(())).await?.version)
}
