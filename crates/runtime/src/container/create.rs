//! Makes a container: root file system, specification, record.

use std::path::{Path, PathBuf};

use containerd_client::services::v1::container::Runtime as Shim;
use containerd_client::services::v1::snapshots::{MountsRequest, PrepareSnapshotRequest};
use containerd_client::services::v1::{Container, CreateContainerRequest};
use containerd_client::types::Mount;
use prost::Message;

use super::spec::{self, Host, Parts};
use super::supply::{self, Plan};
use super::{ContainerConfig, KEPT, Kept, NAME, user};
use crate::content::Labels;
use crate::error::Tolerate;
use crate::image::Unpacked;
use crate::rpc::{QUICK, rpc};
use crate::volumes::Held;
use crate::{Error, Runtime, Signal};

const SPEC: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
pub(super) const SHIM: &str = "io.containerd.runc.v2";

/// Options of containerd's runc shim, as far as we set them.
#[derive(Clone, PartialEq, Eq, Message)]
struct RuncOptions {
    #[prost(string, tag = "7")]
    root: String,
}

impl Runtime {
    /// Makes a container without starting it. One of that id that is there already is left as
    /// it is.
    ///
    /// # Errors
    ///
    /// [`Error::ImageMissing`] and [`Error::BadConfig`] as they say.
    pub async fn create(&self, config: &ContainerConfig) -> Result<(), Error> {
        check_id(&config.id)?;
        if self.is_made(&config.id).await? {
            return Ok(());
        }
        let image = self.unpacked(&config.image).await?;
        let plan = supply::plan(config, image.config(), &self.options.volume_dir)?;
        let rootfs = self.prepare(&config.id, &image).await?;
        let supplied = self.supplied(config, &image, &plan, &rootfs).await;
        if supplied.is_err() {
            self.remove_snapshot(&config.id).await?;
            let kept = Kept { volumes: plan.kept(), ..Kept::default() };
            self.release_volumes(&config.id, Some(&kept)).await?;
        }
        // Held until the record says who uses the volumes.
        let (record, _held) = supplied?;
        let request = CreateContainerRequest { container: Some(record) };
        let created = rpc("create container", QUICK, self.link.containers().create(request)).await;
        created.or_present()?;
        // Until the record stood, containerd's garbage collector may have taken the snapshot.
        self.prepare(&config.id, &image).await.map(drop)
    }

    /// Everything but the root file system and the record, which it returns.
    async fn supplied(
        &self,
        config: &ContainerConfig,
        image: &Unpacked,
        plan: &Plan,
        rootfs: &[Mount],
    ) -> Result<(Container, Option<Held>), Error> {
        let record = self.record_of(config, image, plan, rootfs)?;
        let held = self.supply(plan, rootfs).await?;
        self.prepare_logs(&config.id, config.log)?;
        Ok((record, held))
    }

    /// True when record and root file system are there, whatever became of the image since.
    async fn is_made(&self, id: &str) -> Result<bool, Error> {
        match self.container(id).await {
            Ok(_) => Ok(self.mounts(id).await?.is_some()),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// The container's own root file system, on top of the image.
    async fn prepare(&self, id: &str, image: &Unpacked) -> Result<Vec<Mount>, Error> {
        let request = PrepareSnapshotRequest {
            snapshotter: self.options.snapshotter.clone(),
            key: id.into(),
            parent: image.top.clone(),
            labels: Labels::new(),
        };
        let prepared = rpc("prepare snapshot", QUICK, self.link.snapshots().prepare(request)).await;
        let missing = || self.lost(image);
        match prepared.or_present() {
            Ok(Some(prepared)) => Ok(prepared.mounts),
            Ok(None) => self.mounts(id).await?.ok_or_else(missing),
            Err(refused) => Err(refused).or_absent()?.ok_or_else(missing),
        }
    }

    /// How to mount the root file system; `None` when there is none.
    pub(crate) async fn mounts(&self, id: &str) -> Result<Option<Vec<Mount>>, Error> {
        let (snapshotter, key) = (self.options.snapshotter.clone(), id.to_owned());
        let request = MountsRequest { snapshotter, key };
        let found = rpc("get mounts", QUICK, self.link.snapshots().mounts(request)).await;
        Ok(found.or_absent()?.map(|found| found.mounts))
    }

    fn record_of(
        &self,
        config: &ContainerConfig,
        image: &Unpacked,
        plan: &Plan,
        rootfs: &[Mount],
    ) -> Result<Container, Error> {
        let process = image.config();
        let wanted = if config.user.is_empty() { &process.user } else { &config.user };
        let identity = user::resolve(wanted, &config.groups, rootfs)?;
        let spec = spec::build(&Parts {
            config,
            image: process,
            identity: &identity,
            cgroup: &self.cgroup(&config.id),
            init: &self.options.init,
            mounts: &plan.mounts,
            host: &Host::read(&plan.mounts),
        })?;
        let kept = Kept {
            name: config.name.clone(),
            labels: config.labels.clone(),
            stop_signal: stop_signal(config, &process.stop_signal)?.number().to_string(),
            tty: config.tty,
            volumes: plan.kept(),
        };
        let any = |type_url: &str, value| prost_types::Any { type_url: type_url.into(), value };
        let encoded =
            |why: serde_json::Error| Error::BadConfig { field: "spec", why: why.to_string() };
        let kept = any(KEPT, serde_json::to_vec(&kept).map_err(encoded)?);
        let spec = any(SPEC, serde_json::to_vec(&spec).map_err(encoded)?);
        Ok(Container {
            id: config.id.clone(),
            labels: [(NAME.to_owned(), config.name.clone())].into(),
            image: image.name.clone(),
            runtime: Some(Shim { name: SHIM.into(), options: self.shim_options() }),
            spec: Some(spec),
            snapshotter: self.options.snapshotter.clone(),
            snapshot_key: config.id.clone(),
            extensions: [(KEPT.to_owned(), kept)].into(),
            ..Container::default()
        })
    }

    /// Absolute within each hierarchy.
    pub(crate) fn cgroup(&self, id: &str) -> PathBuf {
        Path::new(&self.options.cgroup_parent).join(id)
    }

    pub(super) fn shim_options(&self) -> Option<prost_types::Any> {
        let root = self.options.runc_root.as_ref()?.to_string_lossy().into_owned();
        let value = RuncOptions { root }.encode_to_vec();
        Some(prost_types::Any { type_url: "containerd.runc.v1.Options".into(), value })
    }
}

/// Ids become names of directories, cgroups and log files.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let begins_well = id.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if begins_well && id.len() <= 76 && id.bytes().all(allowed) {
        return Ok(());
    }
    let why =
        "must be 1 to 76 letters, digits, `_`, `.` or `-`, beginning with one of the first two";
    Err(Error::BadConfig { field: "id", why: why.into() })
}

fn stop_signal(config: &ContainerConfig, image: &str) -> Result<Signal, Error> {
    match config.stop_signal {
        Some(signal) => Ok(signal),
        None if image.is_empty() => Ok(Signal::TERM),
        None => image.parse().map_err(|unknown: crate::UnknownSignal| Error::BadConfig {
            field: "stop_signal",
            why: format!("of the image: {unknown}"),
        }),
    }
}
