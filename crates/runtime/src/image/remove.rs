//! Dropping names of images. Content goes when nothing refers to it any more.

use containerd_client::services::v1::{DeleteImageRequest, Image as Record};

use crate::error::Tolerate;
use crate::rpc::{QUICK, rpc};
use crate::{ContainerState, Error, Runtime, Status, content, full_name, lease};

/// What went.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Removed {
    /// Names that were dropped.
    pub untagged: Vec<String>,
    /// Digests whose content went with them.
    pub deleted: Vec<String>,
}

/// What keeps an image from being removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spare {
    /// A container that was made of it, running or not; and other names, when a digest was given.
    Used,
    /// A container of it that has not ended. A digest stands for all of its names.
    Running,
}

/// Fewest digits of a digest that stand for an image.
const DIGITS: usize = 6;

/// What became of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dropped {
    Gone,
    /// It names another image by now.
    Moved,
}

impl Runtime {
    /// Drops a name, or the names of the image whose digest begins so, unless `spare` keeps them.
    ///
    /// # Errors
    ///
    /// [`Error::ImageMissing`]; [`Error::ImageUsed`] as `spare` says, or when several digests
    /// begin so. Nothing was dropped then.
    pub async fn remove_image(&self, reference: &str, spare: Spare) -> Result<Removed, Error> {
        let records = self.named(reference, spare).await?;
        let digest = records.first().and_then(|record| record.target.clone()).unwrap_or_default();
        let digest = digest.digest;
        let mut blobs = vec![digest.clone()];
        if let Some(manifest) = self.manifest(&digest).await? {
            blobs.push(manifest.config.digest);
            blobs.extend(manifest.layers.into_iter().map(|layer| layer.digest));
        }
        let containers = self.containers().await?;
        for record in &records {
            unused(&containers, &record.name, spare)?;
        }
        let mut untagged = Vec::new();
        for record in records {
            if self.drop_name(&record, spare).await? == Dropped::Gone {
                untagged.push(record.name);
            }
        }
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
        Ok(Removed { untagged, deleted })
    }

    /// Drops it while no container is made of it, so that none loses its image half-way. A name
    /// that a pull has moved since `record` was read stays: it is another image's now.
    pub(crate) async fn drop_name(&self, record: &Record, spare: Spare) -> Result<Dropped, Error> {
        let name = &record.name;
        let _alone = self.images.records.lock(name).await;
        let present = self.record(name.clone()).await?;
        if present.is_some_and(|present| digest(&present) != digest(record)) {
            return Ok(Dropped::Moved);
        }
        unused(&self.containers().await?, name, spare)?;
        let request = DeleteImageRequest { name: name.clone(), ..DeleteImageRequest::default() };
        rpc("delete image", QUICK, self.link.images().delete(request)).await.or_absent()?;
        Ok(Dropped::Gone)
    }

    /// The record of that name, or those of the digest that begins so.
    async fn named(&self, reference: &str, spare: Spare) -> Result<Vec<Record>, Error> {
        if let Ok(name) = full_name(reference)
            && let Some(record) = self.record(name).await?
        {
            return Ok(vec![record]);
        }
        let digits = reference.strip_prefix("sha256:").unwrap_or(reference);
        let hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let missing = || Error::ImageMissing { reference: reference.into() };
        if !hex || digits.len() < DIGITS {
            return Err(missing());
        }
        let begins = |record: &Record| {
            digest(record).strip_prefix("sha256:").is_some_and(|it| it.starts_with(digits))
        };
        let found: Vec<Record> = self.records().await?.into_iter().filter(begins).collect();
        let (first, others) = found.split_first().ok_or_else(missing)?;
        let used = |why| Error::ImageUsed { reference: reference.into(), why };
        if let Some(other) = others.iter().find(|it| digest(it) != digest(first)) {
            return Err(used(format!("{} and {} begin so; give a name", first.name, other.name)));
        }
        match others.first() {
            Some(other) if spare == Spare::Used => Err(used(format!(
                "it is {} and {}; give a name, or force it",
                first.name, other.name
            ))),
            _ => Ok(found),
        }
    }
}

fn digest(record: &Record) -> &str {
    record.target.as_ref().map_or("", |target| target.digest.as_str())
}

/// Refuses, naming the container, when one keeps the image of that name.
fn unused(containers: &[ContainerState], name: &str, spare: Spare) -> Result<(), Error> {
    let ended = |it: &ContainerState| matches!(it.status, Status::Stopped(_) | Status::Lost);
    let users = containers.iter().filter(|it| it.image == name);
    // One that ended does not hold it for good: one that runs is the better answer.
    let user = users.filter(|it| spare == Spare::Used || !ended(it)).min_by_key(|it| ended(it));
    let Some(user) = user else { return Ok(()) };
    let who = if user.name.is_empty() { &user.id } else { &user.name };
    let why = if ended(user) {
        format!("{who} was made of it and has ended; force it")
    } else {
        format!("{who} runs on it")
    };
    // As people write it.
    let reference = crate::reference::parse(name).map_or_else(|_| name.into(), |it| it.to_string());
    Err(Error::ImageUsed { reference, why })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::Exit;

    fn container(name: &str, status: Status) -> ContainerState {
        let (id, image) = (format!("id of {name}"), "docker.io/library/web:1".to_owned());
        ContainerState { id, name: name.to_owned(), image, labels: BTreeMap::new(), status }
    }

    #[test]
    fn the_user_that_keeps_an_image_is_named() {
        let ended = container("web.1.a", Status::Stopped(Exit { code: 0, at: UNIX_EPOCH }));
        let runs = container("web.1.b", Status::Running { pid: 7 });
        let why = |containers: &[ContainerState], spare| {
            unused(containers, "docker.io/library/web:1", spare).map_err(|why| why.to_string())
        };

        let both = [ended.clone(), runs];

        let refused = why(&both, Spare::Used).unwrap_err();
        assert_eq!(refused, "image web:1 is in use: web.1.b runs on it");
        assert!(why(&both, Spare::Running).unwrap_err().contains("web.1.b"));
        let refused = why(std::slice::from_ref(&ended), Spare::Used).unwrap_err();
        assert!(refused.contains("web.1.a") && refused.contains("force"), "{refused}");
        assert_eq!(why(&[ended], Spare::Running), Ok(()));
        assert!(unused(&both, "docker.io/library/web:2", Spare::Used).is_ok());
    }
}
