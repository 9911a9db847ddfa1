//! The named volumes of the node behind the socket.

use std::collections::BTreeMap;

use swarm_proto::v1;
use swarm_proto::v1::volumes_client::VolumesClient;
use swarm_types::Timestamp;

use crate::{Client, ClientError};

/// A named volume.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LocalVolume {
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Its directory on the node.
    pub mountpoint: String,
    /// Free key-value pairs.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// When it was made, on the node's clock.
    pub created_at: Timestamp,
    /// Containers that have it, running or not; 0 where they were not counted.
    pub containers: u32,
}

impl From<v1::LocalVolume> for LocalVolume {
    fn from(volume: v1::LocalVolume) -> Self {
        Self {
            name: volume.name,
            driver: volume.driver,
            mountpoint: volume.mountpoint,
            labels: volume.labels.into_iter().collect(),
            options: volume.options.into_iter().collect(),
            created_at: Timestamp(volume.created_at_ns),
            containers: volume.containers,
        }
    }
}

impl Client {
    fn volume_store(&self) -> VolumesClient<tonic::transport::Channel> {
        VolumesClient::new(self.channel.clone())
    }

    /// Makes a volume, or gives the one of that name and driver; an empty name is drawn.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the name or an option is not allowed.
    pub async fn create_volume(&self, wanted: &LocalVolume) -> Result<LocalVolume, ClientError> {
        let request = v1::CreateLocalVolumeRequest {
            name: wanted.name.clone(),
            driver: wanted.driver.clone(),
            labels: wanted.labels.clone().into_iter().collect(),
            options: wanted.options.clone().into_iter().collect(),
        };
        let mut store = self.volume_store();
        // Repeated without a name it would make two.
        let answer = self.call_once(store.create(request), crate::CALL_DEADLINE).await?;
        Ok(answer.volume.unwrap_or_default().into())
    }

    /// The volumes, by name.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreachable`] when the daemon does not run.
    pub async fn volumes(&self) -> Result<Vec<LocalVolume>, ClientError> {
        let answer = self
            .call(|| {
                let mut store = self.volume_store();
                async move { store.list(v1::ListLocalVolumesRequest {}).await }
            })
            .await?;
        Ok(answer.volumes.into_iter().map(LocalVolume::from).collect())
    }

    /// Removes a volume with its content.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] while it is used, and when there is none.
    pub async fn remove_volume(&self, name: &str, missing: Missing) -> Result<(), ClientError> {
        let force = missing == Missing::Ignore;
        let request = v1::RemoveLocalVolumeRequest { name: name.to_owned(), force };
        self.call(|| {
            let (mut store, request) = (self.volume_store(), request.clone());
            async move { store.remove(request).await }
        })
        .await?;
        Ok(())
    }
}

/// What the removal of something that is not there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// An error.
    Refuse,
    /// As good as done.
    Ignore,
}
