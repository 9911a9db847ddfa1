//! The cluster as a whole: its settings, its root certificate, and the key that unlocks managers.

use std::time::Duration;

use swarm_proto::v1;
use swarm_proto::{DecodeError, field};
use swarm_types::Sensitive;
use swarm_types::spec::cluster::ClusterSpec;

use crate::services::request_id;
use crate::{Client, ClientError};

/// How long unlocking may take: the manager is started in it.
const UNLOCK_DEADLINE: Duration = Duration::from_secs(60);

/// A cluster as its users see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterSettings {
    /// The settings, without any key.
    pub spec: ClusterSpec,
    /// Version of the settings; an update names the one it changes.
    pub spec_version: u64,
    /// PEM of the root certificate.
    pub root_cert: String,
}

impl Client {
    /// The cluster's settings.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] without a leader.
    pub async fn cluster(&self) -> Result<ClusterSettings, ClientError> {
        let answer = self
            .call(|| {
                let mut control = self.control();
                async move { control.get_cluster(v1::GetClusterRequest { stale: false }).await }
            })
            .await?;
        let cluster = answer.cluster.unwrap_or_default();
        read(cluster).map_err(|error| self.unreadable(error))
    }

    /// Replaces the settings, if nobody did since `cluster` was read.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when they break a rule or were replaced meanwhile.
    pub async fn update_cluster(
        &self,
        cluster: &ClusterSettings,
        spec: &ClusterSpec,
    ) -> Result<(), ClientError> {
        let request = v1::UpdateClusterRequest {
            request_id: request_id(),
            spec_version: cluster.spec_version,
            spec: Some(spec.into()),
        };
        self.call(|| {
            let (mut control, request) = (self.control(), request.clone());
            async move { control.update_cluster(request).await }
        })
        .await?;
        Ok(())
    }

    /// What unlocks a manager after it was restarted; empty without autolock.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] without a leader.
    pub async fn unlock_key(&self) -> Result<Sensitive, ClientError> {
        let answer = self
            .call(|| {
                let mut control = self.control();
                async move { control.get_unlock_key(v1::GetUnlockKeyRequest {}).await }
            })
            .await?;
        field::part(answer.key, "key").map_err(|error| self.unreadable(error))
    }

    /// Replaces what unlocks managers.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] without autolock.
    pub async fn rotate_unlock_key(&self) -> Result<Sensitive, ClientError> {
        let request = v1::RotateUnlockKeyRequest { request_id: request_id() };
        let answer = self
            .call(|| {
                let (mut control, request) = (self.control(), request.clone());
                async move { control.rotate_unlock_key(request).await }
            })
            .await?;
        field::part(answer.key, "key").map_err(|error| self.unreadable(error))
    }

    /// Unlocks the manager behind the socket; returns once it has started.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when it is not locked, or by another key.
    pub async fn unlock(&self, key: &Sensitive) -> Result<(), ClientError> {
        let request = v1::UnlockRequest { key: Some(key.into()) };
        let mut local = self.local();
        self.call_once(local.unlock(request), UNLOCK_DEADLINE).await?;
        Ok(())
    }
}

fn read(cluster: v1::ClusterView) -> Result<ClusterSettings, DecodeError> {
    Ok(ClusterSettings {
        spec: field::part(cluster.spec, "spec")?,
        spec_version: cluster.meta.unwrap_or_default().spec_version,
        root_cert: cluster.root_cert,
    })
}
