//! Images in containerd: stored and unpacked under a lease, named last.
//!
//! Everything is written under one lease. The image record, which keeps it all alive, is made
//! when every blob is stored and every layer unpacked; then the lease goes. When a step fails the
//! lease goes too, and with it all that was written. A load whose future is dropped half-way
//! leaves its lease to expire.

use containerd_client::services::v1::snapshots::{
    CommitSnapshotRequest, PrepareSnapshotRequest, RemoveSnapshotRequest, StatSnapshotRequest,
};
use containerd_client::services::v1::{
    AddResourceRequest, ApplyRequest, CreateImageRequest, GetImageRequest, Image as Record,
    ListImagesRequest, Resource, UpdateImageRequest,
};
use containerd_client::types::Descriptor;
use tokio::io::AsyncRead;

use crate::archive::{self, BadArchive, Blob, Bundle, ImageConfig, Manifest};
use crate::content::{self, Labels, Upload};
use crate::error::Tolerate;
use crate::rpc::{Link, QUICK, UNPACK, rpc};
use crate::{Error, Options, Runtime, full_name};

/// An image of this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Full name, such as `docker.io/library/web:1`.
    pub name: String,
    /// Digest of its manifest, `sha256:...`.
    pub digest: String,
    /// Bytes of its blobs as stored.
    pub size: u64,
}

/// What a container needs to know of its image.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) name: String,
    /// Name of the snapshot of its topmost layer.
    pub(crate) top: String,
    pub(crate) config: ImageConfig,
}

impl Runtime {
    /// Loads the images of a docker archive or an OCI layout, plain or gzipped, and unpacks them.
    ///
    /// Images are named as the archive says; `name` is for the one image in it that has no name.
    /// An image of the same name is replaced. Images for other platforms are left out.
    ///
    /// # Errors
    ///
    /// [`Error::BadArchive`] when the archive is refused. Whatever the error, nothing is kept
    /// unless it came from naming the second or a later image of an archive.
    pub async fn load(
        &self,
        archive: impl AsyncRead + Send + Unpin,
        name: Option<&str>,
    ) -> Result<Vec<Image>, Error> {
        let Options { spool_dir, limits, .. } = &*self.options;
        let contents = archive::read(archive, name.map(str::to_owned), spool_dir, *limits).await?;
        let lease = content::lease(&self.link).await?;
        let store = Store {
            link: self.link.leased(&lease),
            lease: &lease,
            snapshotter: &self.options.snapshotter,
        };
        let loaded = store.all(&contents.bundles).await;
        let released = content::release(&self.link, &lease).await;
        let images = loaded?;
        released?;
        Ok(images)
    }

    /// All images, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] and the like; an image whose blobs are gone is left out.
    pub async fn images(&self) -> Result<Vec<Image>, Error> {
        let request = ListImagesRequest::default();
        let records = rpc("list images", QUICK, self.link.images().list(request)).await?.images;
        let mut images = Vec::new();
        for record in records {
            images.extend(self.describe(record).await?);
        }
        images.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(images)
    }

    /// The image of that name, short or full; `None` when it is not here.
    ///
    /// # Errors
    ///
    /// [`Error::BadReference`] when it is not a name.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>, Error> {
        match self.record(full_name(reference)?).await? {
            Some(record) => self.describe(record).await,
            None => Ok(None),
        }
    }

    async fn record(&self, name: String) -> Result<Option<Record>, Error> {
        let request = GetImageRequest { name };
        let found = rpc("get image", QUICK, self.link.images().get(request)).await;
        Ok(found.or_absent()?.and_then(|found| found.image))
    }

    async fn describe(&self, record: Record) -> Result<Option<Image>, Error> {
        let Descriptor { digest, size, .. } = record.target.unwrap_or_default();
        let Some(manifest) = self.manifest(&digest).await? else { return Ok(None) };
        let blobs = manifest.layers.iter().chain([&manifest.config]);
        let blobs: u64 = blobs.map(|blob| blob.size).sum();
        let size = blobs + u64::try_from(size).unwrap_or(0);
        Ok(Some(Image { name: record.name, digest, size }))
    }

    async fn manifest(&self, digest: &str) -> Result<Option<Manifest>, Error> {
        let bytes = content::read(&self.link, digest).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Configuration and top snapshot of an image.
    pub(crate) async fn unpacked(&self, reference: &str) -> Result<Unpacked, Error> {
        let name = full_name(reference)?;
        let missing = || Error::ImageMissing { reference: name.clone() };
        let target = self.record(name.clone()).await?.and_then(|record| record.target);
        let digest = target.ok_or_else(missing)?.digest;
        let manifest = self.manifest(&digest).await?.ok_or_else(missing)?;
        let config = content::read(&self.link, &manifest.config.digest).await?;
        let config: ImageConfig =
            config.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(missing)?;
        let top = chain(&config.rootfs.diff_ids).pop().ok_or_else(missing)?;
        Ok(Unpacked { name, top, config })
    }
}

/// One load under its lease.
struct Store<'a> {
    link: Link,
    lease: &'a str,
    snapshotter: &'a str,
}

impl Store<'_> {
    async fn all(&self, bundles: &[Bundle]) -> Result<Vec<Image>, Error> {
        for bundle in bundles {
            self.blobs(bundle).await?;
            self.unpack(bundle).await?;
        }
        let mut images = Vec::new();
        for bundle in bundles {
            for name in &bundle.names {
                images.push(self.name(bundle, name).await?);
            }
        }
        Ok(images)
    }

    /// Layers first, so that what refers to a blob is never there before it.
    async fn blobs(&self, bundle: &Bundle) -> Result<(), Error> {
        for layer in &bundle.layers {
            self.blob(layer, &Labels::new()).await?;
        }
        let top = chain(&bundle.diff_ids).pop().unwrap_or_default();
        let snapshot = format!("containerd.io/gc.ref.snapshot.{}", self.snapshotter);
        self.blob(&bundle.config, &Labels::from([(snapshot, top)])).await?;
        let parts = [&bundle.config].into_iter().chain(&bundle.layers).enumerate();
        let labels = parts
            .map(|(n, blob)| (format!("containerd.io/gc.ref.content.{n}"), blob.digest.clone()))
            .collect();
        let size = bundle.manifest.len() as u64;
        let upload = Upload { digest: &bundle.manifest_digest, size, labels: &labels };
        content::write(&self.link, upload, bundle.manifest.as_slice()).await
    }

    async fn blob(&self, blob: &Blob, labels: &Labels) -> Result<(), Error> {
        let file = tokio::fs::File::open(&blob.file).await.map_err(Error::io("open a blob"))?;
        let upload = Upload { digest: &blob.digest, size: blob.size, labels };
        content::write(&self.link, upload, file).await
    }

    async fn unpack(&self, bundle: &Bundle) -> Result<(), Error> {
        let mut parent = String::new();
        let names = chain(&bundle.diff_ids);
        for ((name, layer), diff_id) in names.into_iter().zip(&bundle.layers).zip(&bundle.diff_ids)
        {
            if !self.hold(&name).await? {
                let key = format!("extract-{}-{name}", self.lease);
                let applied = self.layer(&key, &parent, &name, layer, diff_id).await;
                if applied.is_err() {
                    self.discard(key).await;
                }
                applied?;
            }
            parent = name;
        }
        Ok(())
    }

    /// Takes a snapshot that is there already under our lease; false when it is not there.
    async fn hold(&self, name: &str) -> Result<bool, Error> {
        let kind = format!("snapshots/{}", self.snapshotter);
        let resource = Resource { id: name.into(), r#type: kind };
        let request = AddResourceRequest { id: self.lease.into(), resource: Some(resource) };
        rpc("hold snapshot", QUICK, self.link.leases().add_resource(request)).await?;
        let (snapshotter, key) = (self.snapshotter.into(), name.into());
        let request = StatSnapshotRequest { snapshotter, key };
        let found = rpc("stat snapshot", QUICK, self.link.snapshots().stat(request)).await;
        Ok(found.or_absent()?.is_some())
    }

    async fn layer(
        &self,
        key: &str,
        parent: &str,
        name: &str,
        layer: &Blob,
        diff_id: &str,
    ) -> Result<(), Error> {
        let snapshotter = self.snapshotter.to_owned();
        let (key, parent, labels) = (key.to_owned(), parent.to_owned(), Labels::new());
        let request = PrepareSnapshotRequest {
            snapshotter: snapshotter.clone(),
            key: key.clone(),
            parent,
            labels: labels.clone(),
        };
        let prepared =
            rpc("prepare snapshot", QUICK, self.link.snapshots().prepare(request)).await?;
        let diff = Descriptor {
            media_type: layer.media_type.clone(),
            digest: layer.digest.clone(),
            size: i64::try_from(layer.size).unwrap_or(i64::MAX),
            ..Descriptor::default()
        };
        let (diff, mounts) = (Some(diff), prepared.mounts);
        let request = ApplyRequest { diff, mounts, ..ApplyRequest::default() };
        let applied = rpc("unpack layer", UNPACK, self.link.diff().apply(request)).await?;
        let found = applied.applied.unwrap_or_default().digest;
        if found != diff_id {
            let what = format!("unpacked layer {}", layer.digest);
            return Err(BadArchive::Mismatch { what, found, announced: diff_id.into() }.into());
        }
        let request =
            CommitSnapshotRequest { snapshotter, name: name.into(), key: key.clone(), labels };
        let committed =
            rpc("commit snapshot", QUICK * 6, self.link.snapshots().commit(request)).await;
        if committed.or_present()?.is_none() {
            // Another load was quicker.
            self.discard(key).await;
        }
        Ok(())
    }

    /// What stays behind here goes with the lease.
    async fn discard(&self, key: String) {
        let request = RemoveSnapshotRequest { snapshotter: self.snapshotter.into(), key };
        let _ = rpc("remove snapshot", QUICK, self.link.snapshots().remove(request)).await;
    }

    async fn name(&self, bundle: &Bundle, name: &str) -> Result<Image, Error> {
        let digest = bundle.manifest_digest.clone();
        let size = bundle.manifest.len() as u64;
        let target = Descriptor {
            media_type: bundle.manifest_type.clone(),
            digest: digest.clone(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            ..Descriptor::default()
        };
        let image = Some(Record { name: name.into(), target: Some(target), ..Record::default() });
        let request = CreateImageRequest { image: image.clone(), ..CreateImageRequest::default() };
        let created = rpc("create image", QUICK, self.link.images().create(request)).await;
        if created.or_present()?.is_none() {
            let mask = prost_types::FieldMask { paths: vec!["target".into()] };
            let request = UpdateImageRequest {
                image,
                update_mask: Some(mask),
                ..UpdateImageRequest::default()
            };
            rpc("update image", QUICK, self.link.images().update(request)).await?;
        }
        let blobs = bundle.layers.iter().chain([&bundle.config]).map(|blob| blob.size);
        Ok(Image { name: name.into(), digest, size: blobs.sum::<u64>() + size })
    }
}

/// Names of the snapshots of stacked layers, bottom first.
fn chain(diff_ids: &[String]) -> Vec<String> {
    let stack = |below: &mut String, diff_id: &String| {
        *below = match below.as_str() {
            "" => diff_id.clone(),
            below => archive::digest(format!("{below} {diff_id}").as_bytes()),
        };
        Some(below.clone())
    };
    diff_ids.iter().scan(String::new(), stack).collect()
}
