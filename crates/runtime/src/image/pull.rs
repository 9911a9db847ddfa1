//! From a registry into containerd: manifest, layers side by side, unpacked in order, named.
//!
//! Callers who want the same image at once wait for the one that came first and share what it
//! got. Everything is held by a lease for that image; a pull that is given up, or that the network
//! ends, leaves it, and the next one takes over what it holds and goes on from there.

mod fetch;
mod resolve;

use futures::TryStreamExt;
use swarm_types::image::ImageRef;
use tokio::time::Instant;

use super::shared::Pulled;
use super::store::{Named, Store, manifest_labels};
use super::{Image, Record};
use crate::archive::{Compression, Descriptor, check_config};
use crate::reference;
use crate::registry::Remote;
use crate::{Auth, Error, RegistryError, Runtime, lease};
use fetch::Report;
use resolve::Found;

/// Layers fetched at a time.
const AT_ONCE: usize = 4;

/// How far a layer is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The layer's digest.
    pub digest: String,
    /// What happens to it.
    pub phase: Phase,
    /// Bytes fetched.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// What happens to a layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Its turn has not come.
    Waiting,
    /// It is fetched.
    Downloading,
    /// It is here, and checked.
    Downloaded,
    /// It is unpacked.
    Unpacking,
    /// It is unpacked and kept.
    Done,
    /// It was here already.
    Present,
}

/// Takes progress; called at most ten times a second and layer while bytes come.
pub(super) type Listener<'a> = &'a (dyn Fn(&Progress) + Send + Sync);

impl Runtime {
    /// Fetches an image from its registry and unpacks it. A record of that name is replaced.
    ///
    /// Dropping the future keeps what was fetched for some hours, for another try.
    ///
    /// # Errors
    ///
    /// [`Error::BadReference`]; [`Error::Registry`] as its variants say: when it is transient,
    /// another try may do; otherwise nothing that was fetched is kept.
    pub async fn pull(
        &self,
        reference: &str,
        auth: &Auth,
        progress: impl Fn(&Progress) + Send + Sync,
    ) -> Result<Image, Error> {
        let asked = Instant::now();
        let image = reference::parse(reference)?;
        let name = reference::name(&image);
        let mut turn = self.images.pulls.lock(&name).await;
        if let Some(pulled) = turn.as_ref().filter(|it| it.at >= asked && it.auth == *auth) {
            return Ok(pulled.result.clone()?);
        }
        let pulled = self.pull_alone(&image, &name, auth, &progress).await;
        let result = match &pulled {
            Ok(image) => Some(Ok(image.clone())),
            Err(Error::Registry(refusal)) => Some(Err(refusal.clone())),
            Err(_) => None,
        };
        *turn = result.map(|result| Pulled { at: Instant::now(), auth: auth.clone(), result });
        pulled
    }

    async fn pull_alone(
        &self,
        image: &ImageRef,
        name: &str,
        auth: &Auth,
        progress: Listener<'_>,
    ) -> Result<Image, Error> {
        let remote = Remote::open(image, auth, &self.options.registries_dir)?;
        let lease = lease::take(&self.link, name).await?;
        let stored = async {
            lease::adopt(&self.link, &lease, name).await?;
            let found = resolve::resolve(&remote, image).await?;
            Store::new(self, &lease).pulled(&remote, name, &found, progress).await
        };
        // Else the lease would end below a slow one. The next one has a new lease and goes on.
        let late = Error::TimedOut { call: "pull", waited: lease::LIFE / 2 };
        let stored = tokio::time::timeout(lease::LIFE / 2, stored).await;
        match stored.unwrap_or(Err(late)) {
            Ok(record) => {
                lease::release(&self.link, &lease).await?;
                let missing = || Error::ImageMissing { reference: name.into() };
                self.describe(record).await?.ok_or_else(missing)
            }
            Err(failure) => {
                let failure = named(name, failure);
                if !may_go_away(&failure) {
                    let _ = lease::release(&self.link, &lease).await;
                }
                Err(failure)
            }
        }
    }
}

/// What is wrong with an image that came from a registry is no fault of an archive.
fn named(name: &str, failure: Error) -> Error {
    match failure {
        Error::BadArchive(why) => {
            RegistryError::Document { what: name.into(), why: why.to_string() }.into()
        }
        other => other,
    }
}

fn may_go_away(failure: &Error) -> bool {
    match failure {
        Error::Registry(failure) => failure.is_transient(),
        Error::Unavailable { .. } | Error::TimedOut { .. } => true,
        _ => false,
    }
}

impl Store<'_> {
    async fn pulled(
        &self,
        remote: &Remote,
        name: &str,
        found: &Found,
        progress: Listener<'_>,
    ) -> Result<Record, Error> {
        let layers = &found.manifest.layers;
        for layer in layers {
            Compression::of_media_type(&layer.media_type)?;
        }
        check_config(&found.config, layers.len())?;
        let mut different: Vec<&Descriptor> = layers.iter().collect();
        different.sort_by(|one, other| one.digest.cmp(&other.digest));
        different.dedup_by(|one, other| one.digest == other.digest);
        let reports: Vec<Report<'_>> =
            different.into_iter().map(|layer| Report::new(layer, progress)).collect();
        futures::stream::iter(reports.iter().map(Ok))
            .try_for_each_concurrent(AT_ONCE, |report| self.fetch(remote, report))
            .await?;

        let diff_ids = &found.config.rootfs.diff_ids;
        let config = &found.manifest.config.digest;
        self.document(config, &found.config_bytes, &self.config_labels(diff_ids)).await?;
        let digests: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
        let labels = manifest_labels(config, &digests);
        self.document(&found.document.digest, &found.document.bytes, &labels).await?;
        self.unpack(layers, diff_ids, |layer, done| {
            let phase = if done { Phase::Done } else { Phase::Unpacking };
            Report::new(layer, progress).whole(phase);
        })
        .await?;
        self.name(Named {
            name,
            media_type: &found.document.media_type,
            digest: &found.document.digest,
            size: found.document.bytes.len() as u64,
            origin: &found.origin,
        })
        .await
    }
}
