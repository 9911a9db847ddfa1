//! `Volumes`: the node's named volumes, over the runtime.

use std::sync::Arc;

use swarm_proto::v1;
use swarm_proto::v1::volumes_server;
use swarm_runtime::{Error, NewVolume, Volume};
use tonic::{Code, Request, Response, Status};

use crate::{Inner, nanos};

/// The node's named volumes.
#[derive(Debug)]
pub(crate) struct Volumes(pub(crate) Arc<Inner>);

#[tonic::async_trait]
impl volumes_server::Volumes for Volumes {
    async fn create(
        &self,
        request: Request<v1::CreateLocalVolumeRequest>,
    ) -> Result<Response<v1::CreateLocalVolumeResponse>, Status> {
        let v1::CreateLocalVolumeRequest { name, driver, labels, options } = request.into_inner();
        let wanted = NewVolume {
            name,
            driver,
            labels: labels.into_iter().collect(),
            options: options.into_iter().collect(),
        };
        let made = self.0.runtime.create_volume(&wanted).await;
        let outcome = made.as_ref().map_or_else(ToString::to_string, |it| it.name.clone());
        told("CreateVolume", &wanted.name, &outcome);
        let volume = Some(shown(made.map_err(|error| refused(&error))?));
        Ok(Response::new(v1::CreateLocalVolumeResponse { volume }))
    }

    async fn list(
        &self,
        _: Request<v1::ListLocalVolumesRequest>,
    ) -> Result<Response<v1::ListLocalVolumesResponse>, Status> {
        let volumes = self.0.runtime.volumes().await.map_err(|error| refused(&error))?;
        let users = self.0.runtime.volume_users().await.map_err(|error| refused(&error))?;
        let counted = |volume: Volume| {
            let count = users.get(&volume.name).map_or(0, Vec::len);
            v1::LocalVolume {
                containers: u32::try_from(count).unwrap_or(u32::MAX),
                ..shown(volume)
            }
        };
        let volumes = volumes.into_iter().map(counted).collect();
        Ok(Response::new(v1::ListLocalVolumesResponse { volumes }))
    }

    async fn remove(
        &self,
        request: Request<v1::RemoveLocalVolumeRequest>,
    ) -> Result<Response<v1::RemoveLocalVolumeResponse>, Status> {
        let v1::RemoveLocalVolumeRequest { name, force } = request.into_inner();
        let removed = match self.0.runtime.remove_volume(&name).await {
            Err(Error::VolumeMissing { .. }) if force => Ok(()),
            removed => removed,
        };
        let outcome = removed.as_ref().map_or_else(ToString::to_string, |()| "done".to_owned());
        told("RemoveVolume", &name, &outcome);
        removed.map_err(|error| refused(&error))?;
        Ok(Response::new(v1::RemoveLocalVolumeResponse {}))
    }
}

/// Options may hold the password of a share: they are told to nobody.
fn told(call: &str, name: &str, outcome: &str) {
    tracing::info!(
        target: "swarm::audit", caller = "local socket", call, volume = name, outcome, "change"
    );
}

fn shown(volume: Volume) -> v1::LocalVolume {
    v1::LocalVolume {
        name: volume.name,
        driver: volume.driver,
        mountpoint: volume.mountpoint.display().to_string(),
        labels: volume.labels.into_iter().collect(),
        options: volume.options.into_iter().collect(),
        created_at_ns: nanos(volume.created_at),
        containers: 0,
    }
}

fn refused(error: &Error) -> Status {
    let code = match error {
        Error::BadVolume { .. } => Code::InvalidArgument,
        Error::VolumeMissing { .. } => Code::NotFound,
        Error::VolumeInUse { .. } => Code::FailedPrecondition,
        Error::Unavailable { .. } => Code::Unavailable,
        Error::TimedOut { .. } => Code::DeadlineExceeded,
        _ => Code::Internal,
    };
    Status::new(code, crate::local::with_causes(error))
}
