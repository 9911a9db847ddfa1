//! Images in containerd: stored and unpacked under a lease, named last.
//!
//! Everything is written under one lease. The image record, which keeps it all alive, is made
//! when every blob is stored and every layer unpacked; then the lease goes.
//!
//! - `store`: blobs, snapshots and records, for both ways in.
//! - [`Runtime::load`]: from an archive. When it fails nothing is kept; a load whose future is
//!   dropped half-way leaves its lease to expire.
//! - `pull`: from a registry. What was fetched is kept for another try, unless it was refused.
//! - `remove`: drops names. `shared`: what keeps all these apart.

mod config;
mod pull;
mod remove;
mod shared;
mod store;

use std::sync::Arc;

use containerd_client::services::v1::{GetImageRequest, Image as Record, ListImagesRequest};
use jiff::Timestamp;
use tokio::io::AsyncRead;
use tokio::sync::OwnedRwLockReadGuard;

use crate::archive::{self, Manifest};
use crate::content;
use crate::error::Tolerate;
use crate::rpc::{QUICK, rpc};
use crate::{Error, Options, Runtime, full_name, lease};

pub(crate) use config::nullable;
pub use config::{Healthcheck, ImageConfig};
pub use pull::{Phase, Progress};
pub(crate) use remove::Dropped;
pub use remove::{Removed, Spare};
use shared::Facts;
pub(crate) use shared::Shared;
use store::{Store, chain};

/// Bytes of the largest configuration that is kept in memory.
const LARGEST_KEPT: u64 = 64 << 10;

/// Label of a record: the digest under which a registry has the image.
const DIGEST: &str = "swarm/digest";

/// An image of this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Full name, such as `docker.io/library/web:1`.
    pub name: String,
    /// Digest of its manifest, `sha256:...`.
    pub digest: String,
    /// Bytes of its blobs as stored.
    pub size: u64,
    /// Name by which a registry always gives this image, such as
    /// `docker.io/library/web@sha256:...`; `None` for one that was loaded.
    pub repo_digest: Option<String>,
    /// When it was made, as it says.
    pub created: Option<Timestamp>,
    /// Defaults for its containers.
    pub config: ImageConfig,
}

/// What a container needs to know of its image.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) name: String,
    digest: String,
    /// Name of the snapshot of its topmost layer.
    pub(crate) top: String,
    facts: Arc<Facts>,
    /// As long as this lives the image is neither dropped nor replaced.
    _held: OwnedRwLockReadGuard<()>,
}

impl Unpacked {
    /// Defaults for its containers.
    pub(crate) fn config(&self) -> &ImageConfig {
        &self.facts.document.config
    }
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
        let lease = lease::take(&self.link, "load").await?;
        let loaded = Store::new(self, &lease).bundles(&contents.bundles).await;
        let released = lease::release(&self.link, &lease).await;
        let mut images = Vec::new();
        for record in loaded? {
            images.extend(self.describe(record).await?);
        }
        released?;
        Ok(images)
    }

    /// All images, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] and the like; an image whose blobs are gone is left out.
    pub async fn images(&self) -> Result<Vec<Image>, Error> {
        let mut images = Vec::new();
        for record in self.records().await? {
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

    async fn records(&self) -> Result<Vec<Record>, Error> {
        let request = ListImagesRequest::default();
        Ok(rpc("list images", QUICK, self.link.images().list(request)).await?.images)
    }

    async fn record(&self, name: String) -> Result<Option<Record>, Error> {
        let request = GetImageRequest { name };
        let found = rpc("get image", QUICK, self.link.images().get(request)).await;
        Ok(found.or_absent()?.and_then(|found| found.image))
    }

    async fn describe(&self, mut record: Record) -> Result<Option<Image>, Error> {
        let target = record.target.unwrap_or_default();
        let Some(facts) = self.facts(&target.digest).await? else { return Ok(None) };
        let Facts { document, size } = &*facts;
        let repository = repository(&record.name).to_owned();
        let origin = record.labels.remove(DIGEST);
        Ok(Some(Image {
            name: record.name,
            digest: target.digest,
            size: size.saturating_add(u64::try_from(target.size).unwrap_or(0)),
            repo_digest: origin.map(|digest| format!("{repository}@{digest}")),
            created: document.created.parse().ok(),
            config: document.config.clone(),
        }))
    }

    async fn manifest(&self, digest: &str) -> Result<Option<Manifest>, Error> {
        let bytes = content::read(&self.link, digest).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// What manifest and configuration say; `None` when one of them is gone. A digest always says
    /// the same, so it is read once: every container asks several times.
    async fn facts(&self, digest: &str) -> Result<Option<Arc<Facts>>, Error> {
        if let Some(known) = self.images.facts.get(digest) {
            return Ok(Some(known));
        }
        let Some(manifest) = self.manifest(digest).await? else { return Ok(None) };
        let bytes = content::read(&self.link, &manifest.config.digest).await?;
        let Some(document) = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()) else {
            return Ok(None);
        };
        let blobs = manifest.layers.iter().chain([&manifest.config]);
        let size = blobs.fold(0_u64, |sum, blob| sum.saturating_add(blob.size));
        let facts = Arc::new(Facts { document, size });
        if manifest.config.size <= LARGEST_KEPT {
            self.images.facts.keep(digest, &facts);
        }
        Ok(Some(facts))
    }

    /// Why there is no snapshot of an image that was found. What is known of it is forgotten: its
    /// content may have gone the same way.
    pub(crate) fn lost(&self, image: &Unpacked) -> Error {
        self.images.facts.forget(&image.digest);
        Error::ImageMissing { reference: image.name.clone() }
    }

    /// Configuration and top snapshot of an image, which stays while the answer is kept.
    pub(crate) async fn unpacked(&self, reference: &str) -> Result<Unpacked, Error> {
        let name = full_name(reference)?;
        let held = self.images.records.share(&name).await;
        let missing = || Error::ImageMissing { reference: name.clone() };
        let target = self.record(name.clone()).await?.and_then(|record| record.target);
        let digest = target.ok_or_else(missing)?.digest;
        let facts = self.facts(&digest).await?.ok_or_else(missing)?;
        let top = chain(&facts.document.rootfs.diff_ids).pop().ok_or_else(missing)?;
        Ok(Unpacked { name, digest, top, facts, _held: held })
    }
}

/// A full name without tag or digest.
fn repository(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}
