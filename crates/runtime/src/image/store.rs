//! Putting images into containerd: blobs, then snapshots, then the record that keeps them.
//!
//! Everything is written under one lease, so nothing is collected before the record stands.

use std::time::Duration;

use containerd_client::services::v1::snapshots::{
    CommitSnapshotRequest, PrepareSnapshotRequest, RemoveSnapshotRequest, StatSnapshotRequest,
    UsageRequest,
};
use containerd_client::services::v1::{
    ApplyRequest, CreateImageRequest, Image as Record, UpdateImageRequest,
};
use containerd_client::types::Descriptor as Target;

use super::DIGEST;
use super::shared::Shared;
use crate::archive::{self, BadArchive, Blob, Bundle, Descriptor};
use crate::content::{self, Labels, Upload};
use crate::error::Tolerate;
use crate::rpc::{Link, QUICK, UNPACK, rpc};
use crate::{Error, Runtime, lease};

/// Between two looks at how large a layer has become.
const LOOK: Duration = Duration::from_millis(500);
/// What an inode costs at least, in bytes.
const INODE: u64 = 4096;

/// One load or pull under its lease.
pub(super) struct Store<'a> {
    /// Carries the lease.
    pub(super) link: Link,
    pub(super) lease: &'a str,
    pub(super) shared: &'a Shared,
    snapshotter: &'a str,
    /// Bytes all layers of an image may take when they are unpacked.
    limit: u64,
}

/// What an image record points at.
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) media_type: &'a str,
    pub(super) digest: &'a str,
    pub(super) size: u64,
    /// Digest under which a registry has it; empty when it came from elsewhere.
    pub(super) origin: &'a str,
}

impl<'a> Store<'a> {
    pub(super) fn new(runtime: &'a Runtime, lease: &'a str) -> Self {
        Self {
            link: runtime.link.leased(lease),
            lease,
            shared: &runtime.images,
            snapshotter: &runtime.options.snapshotter,
            limit: runtime.options.limits.bytes,
        }
    }

    /// Stores and names the images of an archive.
    pub(super) async fn bundles(&self, bundles: &[Bundle]) -> Result<Vec<Record>, Error> {
        for bundle in bundles {
            self.blobs(bundle).await?;
            let layers: Vec<Descriptor> = bundle.layers.iter().map(described).collect();
            self.unpack(&layers, &bundle.diff_ids, |_, _| {}).await?;
        }
        let mut records = Vec::new();
        for bundle in bundles {
            for name in &bundle.names {
                let named = Named {
                    name,
                    media_type: &bundle.manifest_type,
                    digest: &bundle.manifest_digest,
                    size: bundle.manifest.len() as u64,
                    origin: "",
                };
                records.push(self.name(named).await?);
            }
        }
        Ok(records)
    }

    /// Layers first, so that what refers to a blob is never there before it.
    async fn blobs(&self, bundle: &Bundle) -> Result<(), Error> {
        for layer in &bundle.layers {
            self.blob(layer, &Labels::new()).await?;
        }
        self.blob(&bundle.config, &self.config_labels(&bundle.diff_ids)).await?;
        let layers: Vec<&str> = bundle.layers.iter().map(|layer| layer.digest.as_str()).collect();
        let labels = manifest_labels(&bundle.config.digest, &layers);
        self.document(&bundle.manifest_digest, &bundle.manifest, &labels).await
    }

    async fn blob(&self, blob: &Blob, labels: &Labels) -> Result<(), Error> {
        let file = tokio::fs::File::open(&blob.file).await.map_err(Error::io("open a blob"))?;
        let upload = Upload { digest: &blob.digest, size: blob.size, labels };
        content::write(&self.link, upload, file).await
    }

    /// Stores a blob that is in memory.
    pub(super) async fn document(
        &self,
        digest: &str,
        bytes: &[u8],
        labels: &Labels,
    ) -> Result<(), Error> {
        let upload = Upload { digest, size: bytes.len() as u64, labels };
        content::write(&self.link, upload, bytes).await
    }

    /// With these a configuration keeps the topmost snapshot.
    pub(super) fn config_labels(&self, diff_ids: &[String]) -> Labels {
        let top = chain(diff_ids).pop().unwrap_or_default();
        Labels::from([(format!("containerd.io/gc.ref.snapshot.{}", self.snapshotter), top)])
    }

    /// Unpacks layers upon each other; `report` is told of each, before (false) and after (true).
    pub(super) async fn unpack(
        &self,
        layers: &[Descriptor],
        diff_ids: &[String],
        report: impl Fn(&Descriptor, bool),
    ) -> Result<(), Error> {
        let mut parent = String::new();
        let mut left = self.limit;
        for ((name, layer), diff_id) in chain(diff_ids).into_iter().zip(layers).zip(diff_ids) {
            let _turn = self.shared.layers.lock(&name).await;
            if !self.hold(&name).await? {
                report(layer, false);
                let key = format!("extract-{}-{name}", self.lease);
                let unpacked = self.layer(&key, &parent, layer, diff_id, left).await;
                let committed = match unpacked {
                    Ok(size) => self.commit(&key, &name).await.map(|()| size),
                    Err(failure) => Err(failure),
                };
                match committed {
                    Ok(size) => left = left.saturating_sub(size),
                    Err(failure) => {
                        self.discard(&key).await;
                        return Err(failure);
                    }
                }
            }
            report(layer, true);
            parent = name;
        }
        Ok(())
    }

    /// Takes a snapshot that is there already under our lease; false when it is not there.
    async fn hold(&self, name: &str) -> Result<bool, Error> {
        lease::hold(&self.link, self.lease, &format!("snapshots/{}", self.snapshotter), name)
            .await?;
        let (snapshotter, key) = (self.snapshotter.into(), name.into());
        let request = StatSnapshotRequest { snapshotter, key };
        let found = rpc("stat snapshot", QUICK, self.link.snapshots().stat(request)).await;
        Ok(found.or_absent()?.is_some())
    }

    /// Unpacks a layer into a snapshot that is not committed yet; what it takes, in bytes.
    async fn layer(
        &self,
        key: &str,
        parent: &str,
        layer: &Descriptor,
        diff_id: &str,
        left: u64,
    ) -> Result<u64, Error> {
        let request = PrepareSnapshotRequest {
            snapshotter: self.snapshotter.into(),
            key: key.into(),
            parent: parent.into(),
            labels: Labels::new(),
        };
        let prepared =
            rpc("prepare snapshot", QUICK, self.link.snapshots().prepare(request)).await?;
        let diff = Target {
            media_type: layer.media_type.clone(),
            digest: layer.digest.clone(),
            size: i64::try_from(layer.size).unwrap_or(i64::MAX),
            ..Target::default()
        };
        let (diff, mounts) = (Some(diff), prepared.mounts);
        let request = ApplyRequest { diff, mounts, ..ApplyRequest::default() };
        let mut client = self.link.diff();
        let mut applied = std::pin::pin!(rpc("unpack layer", UNPACK, client.apply(request)));
        // containerd unpacks a layer to its end, however large that is. Dropping the call ends it.
        let applied = loop {
            tokio::select! {
                applied = &mut applied => break applied?,
                () = tokio::time::sleep(LOOK) => drop(self.measured(key, left).await?),
            }
        };
        let size = self.measured(key, left).await?;
        let found = applied.applied.unwrap_or_default().digest;
        if found != diff_id {
            let what = format!("unpacked layer {}", layer.digest);
            return Err(BadArchive::Mismatch { what, found, announced: diff_id.into() }.into());
        }
        Ok(size)
    }

    /// What a snapshot takes, in bytes; refused when that is more than `left`.
    async fn measured(&self, key: &str, left: u64) -> Result<u64, Error> {
        let (snapshotter, key) = (self.snapshotter.into(), key.into());
        let request = UsageRequest { snapshotter, key };
        let used = rpc("measure snapshot", UNPACK, self.link.snapshots().usage(request)).await?;
        let unsigned = |count: i64| u64::try_from(count).unwrap_or(0);
        let size = unsigned(used.size).saturating_add(unsigned(used.inodes).saturating_mul(INODE));
        if size > left {
            let limit = self.limit;
            return Err(BadArchive::TooLarge { what: "bytes in unpacked layers", limit }.into());
        }
        Ok(size)
    }

    async fn commit(&self, key: &str, name: &str) -> Result<(), Error> {
        let request = CommitSnapshotRequest {
            snapshotter: self.snapshotter.into(),
            name: name.into(),
            key: key.into(),
            labels: Labels::new(),
        };
        let committed =
            rpc("commit snapshot", QUICK * 6, self.link.snapshots().commit(request)).await;
        if committed.or_present()?.is_none() {
            // Another daemon on this containerd was quicker.
            self.discard(key).await;
        }
        Ok(())
    }

    /// What stays behind here goes with the lease.
    async fn discard(&self, key: &str) {
        let request =
            RemoveSnapshotRequest { snapshotter: self.snapshotter.into(), key: key.into() };
        let _ = rpc("remove snapshot", QUICK, self.link.snapshots().remove(request)).await;
    }

    /// Makes or replaces the record that keeps an image, while no container is made of it.
    pub(super) async fn name(&self, named: Named<'_>) -> Result<Record, Error> {
        let target = Target {
            media_type: named.media_type.into(),
            digest: named.digest.into(),
            size: i64::try_from(named.size).unwrap_or(i64::MAX),
            ..Target::default()
        };
        let origin = Some(named.origin).filter(|origin| !origin.is_empty());
        let labels = origin.map(|origin| (DIGEST.to_owned(), origin.to_owned()));
        let record = Record {
            name: named.name.into(),
            target: Some(target),
            labels: labels.into_iter().collect(),
            ..Record::default()
        };
        let image = Some(record.clone());
        let _alone = self.shared.records.lock(named.name).await;
        let request = CreateImageRequest { image: image.clone(), ..CreateImageRequest::default() };
        let created = rpc("create image", QUICK, self.link.images().create(request)).await;
        if created.or_present()?.is_none() {
            let mask = prost_types::FieldMask { paths: vec!["target".into(), "labels".into()] };
            let request = UpdateImageRequest {
                image,
                update_mask: Some(mask),
                ..UpdateImageRequest::default()
            };
            rpc("update image", QUICK, self.link.images().update(request)).await?;
        }
        Ok(record)
    }
}

/// With these a manifest keeps configuration and layers.
pub(super) fn manifest_labels(config: &str, layers: &[&str]) -> Labels {
    let parts = [config].into_iter().chain(layers.iter().copied()).enumerate();
    parts.map(|(n, part)| (format!("containerd.io/gc.ref.content.{n}"), part.into())).collect()
}

fn described(blob: &Blob) -> Descriptor {
    Descriptor {
        media_type: blob.media_type.clone(),
        digest: blob.digest.clone(),
        size: blob.size,
        annotations: std::collections::BTreeMap::new(),
        platform: None,
    }
}

/// Names of the snapshots of stacked layers, bottom first.
pub(super) fn chain(diff_ids: &[String]) -> Vec<String> {
    let stack = |below: &mut String, diff_id: &String| {
        *below = match below.as_str() {
            "" => diff_id.clone(),
            below => archive::digest(format!("{below} {diff_id}").as_bytes()),
        };
        Some(below.clone())
    };
    diff_ids.iter().scan(String::new(), stack).collect()
}
