//! Dropping names of images. Content goes when nothing refers to it any more.

use containerd_client::services::v1::{DeleteImageRequest, Image as Record};

use crate::error::Tolerate;
use crate::rpc::{QUICK, rpc};
use crate::{Error, Runtime, content, full_name, lease};

/// What went.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Removed {
    /// Names that were dropped.
    pub untagged: Vec<String>,
    /// Digests whose content went with them.
    pub deleted: Vec<String>,
}

/// Fewest digits of a digest that stand for an image.
const DIGITS: usize = 6;

impl Runtime {
    /// Drops a name, or the one name of the image whose digest begins so.
    ///
    /// # Errors
    ///
    /// [`Error::ImageMissing`]; [`Error::ImageUsed`] while a container was made of it, or when
    /// the digest has several names.
    pub async fn remove_image(&self, reference: &str) -> Result<Removed, Error> {
        let record = self.named(reference).await?;
        let digest = record.target.unwrap_or_default().digest;
        let mut blobs = vec![digest.clone()];
        if let Some(manifest) = self.manifest(&digest).await? {
            blobs.push(manifest.config.digest);
            blobs.extend(manifest.layers.into_iter().map(|layer| layer.digest));
        }
        self.drop_name(&record.name).await?;
        self.images.facts.forget(&digest);
        // What is collected at the end of a lease is what nothing refers to.
        let lease = lease::take(&self.link, "remove").await?;
        lease::release(&self.link, &lease).await?;
        let mut deleted = Vec::new();
        for blob in blobs {
            if !content::holds(&self.link, &blob).await? && !deleted.contains(&blob) {
                deleted.push(blob);
            }
        }
        Ok(Removed { untagged: vec![record.name], deleted })
    }

    /// Drops it while no container is made of it, so that none loses its image half-way.
    pub(crate) async fn drop_name(&self, name: &str) -> Result<(), Error> {
        let _alone = self.images.records.lock(name).await;
        let made = self.container_records().await?;
        if let Some(user) = made.iter().find(|container| container.image == name) {
            let why = format!("container {} was made of it", user.id);
            return Err(Error::ImageUsed { reference: name.into(), why });
        }
        let request = DeleteImageRequest { name: name.into(), ..DeleteImageRequest::default() };
        rpc("delete image", QUICK, self.link.images().delete(request)).await.or_absent()?;
        Ok(())
    }

    async fn named(&self, reference: &str) -> Result<Record, Error> {
        if let Ok(name) = full_name(reference)
            && let Some(record) = self.record(name).await?
        {
            return Ok(record);
        }
        let digits = reference.strip_prefix("sha256:").unwrap_or(reference);
        let hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let missing = || Error::ImageMissing { reference: reference.into() };
        if !hex || digits.len() < DIGITS {
            return Err(missing());
        }
        let begins = |record: &Record| {
            let digest = record.target.as_ref().map(|target| target.digest.as_str());
            digest
                .and_then(|digest| digest.strip_prefix("sha256:"))
                .is_some_and(|digest| digest.starts_with(digits))
        };
        let mut found = self.records().await?.into_iter().filter(begins);
        let first = found.next().ok_or_else(missing)?;
        match found.next() {
            Some(other) => {
                let why = format!("{} and {} begin so; give a name", first.name, other.name);
                Err(Error::ImageUsed { reference: reference.into(), why })
            }
            None => Ok(first),
        }
    }
}
