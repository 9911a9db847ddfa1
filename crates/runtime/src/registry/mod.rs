//! A registry as far as pulling needs it: manifests and blobs of one repository, over HTTP.
//!
//! The distribution protocol, by hand on `reqwest`: the ready-made client reads manifests of any
//! size into memory, has no client certificates, hides `Retry-After` and follows the URLs that
//! foreign layers bring. Here every answer is bounded and every wait has a deadline.
//!
//! - `hosts`: which hosts to ask, and how they prove who they are (`tls`).
//! - `auth`: credentials and challenges. Only the registry itself sees credentials.
//! - [`Remote`]: requests. A host that fails is passed over; when all fail for a reason that may
//!   go away, the request is made again later.
//!
//! What to fetch, and what becomes of it, is left to `image::pull`.

mod auth;
mod error;
mod host;
mod hosts;
mod tls;

use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, RANGE};
use reqwest::{Response, StatusCode};
use swarm_types::image::ImageRef;

pub use auth::Auth;
pub use error::RegistryError;
use host::Host;
pub(crate) use host::broken;

/// Times a request is made before its failure counts.
const ATTEMPTS: u32 = 6;
/// Before the second attempt; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause, also when the registry asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Bytes of a manifest or configuration.
const DOCUMENT: usize = 4 << 20;

const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A manifest or index as the registry sent it.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
}

/// One repository, and the hosts that may serve it.
#[derive(Debug)]
pub(crate) struct Remote {
    hosts: Vec<Host>,
    repository: String,
}

/// Pauses between attempts; progress begins them anew.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn progress(&mut self) {
        self.failures = 0;
    }

    /// Waits until it is time for another attempt, at least as long as was asked for; false when
    /// there were enough.
    pub(crate) async fn pause(&mut self, asked: Duration) -> bool {
        self.failures += 1;
        if self.failures >= ATTEMPTS {
            return false;
        }
        let doubled = FIRST_PAUSE * 2_u32.pow(self.failures - 1);
        let pause = doubled.max(asked).min(LONGEST_PAUSE);
        // Nodes that failed together do not return together.
        let jitter = pause.mul_f64(rand::random::<f64>() / 4.0);
        tokio::time::sleep(pause + jitter).await;
        true
    }

    /// Waits when the failure may go away, or gives it back.
    async fn after(&mut self, failure: RegistryError) -> Result<(), RegistryError> {
        tracing::debug!(%failure, "a request to a registry failed");
        let again = failure.is_transient() && self.pause(failure.wait()).await;
        if again { Ok(()) } else { Err(failure) }
    }
}

impl Remote {
    pub(crate) fn open(image: &ImageRef, auth: &Auth, dir: &Path) -> Result<Self, RegistryError> {
        let endpoints = hosts::endpoints(image.domain(), dir)?;
        let scope = format!("repository:{}:pull", image.path());
        let host = |endpoint| Host::new(endpoint, image.domain(), &scope, auth);
        let hosts = endpoints.into_iter().map(host).collect::<Result<_, _>>()?;
        Ok(Self { hosts, repository: image.path().into() })
    }

    /// The manifest or index of a tag or digest.
    pub(crate) async fn manifest(&self, which: &str) -> Result<Document, RegistryError> {
        let mut backoff = Backoff::default();
        loop {
            let failure = match self.manifest_once(which).await {
                Err(failure) => failure,
                found => return found,
            };
            backoff.after(failure).await?;
        }
    }

    async fn manifest_once(&self, which: &str) -> Result<Document, RegistryError> {
        let is_digest = which.contains(':');
        let path = format!("{}/manifests/{which}", self.repository);
        let response = self.get(&path, !is_digest, 0).await?;
        let media_type = response.headers().get(CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
        let bytes = host::bounded(response, DOCUMENT, &path).await?;
        let digest = crate::archive::digest(&bytes);
        if is_digest && digest != which {
            return Err(mismatch(&path, digest, which));
        }
        Ok(Document { media_type, digest, bytes })
    }

    /// A small blob, whole.
    pub(crate) async fn small(&self, digest: &str, size: u64) -> Result<Vec<u8>, RegistryError> {
        let mut backoff = Backoff::default();
        loop {
            let read = async {
                let most = usize::try_from(size).unwrap_or(DOCUMENT).min(DOCUMENT);
                host::bounded(self.blob(digest, 0).await?.0, most, digest).await
            };
            match read.await {
                Ok(bytes) if crate::archive::digest(&bytes) == digest => return Ok(bytes),
                Ok(bytes) => {
                    return Err(mismatch("blob", crate::archive::digest(&bytes), digest));
                }
                Err(failure) => backoff.after(failure).await?,
            }
        }
    }

    /// A blob from some host, once; the number says at which byte the answer begins.
    pub(crate) async fn blob(
        &self,
        digest: &str,
        offset: u64,
    ) -> Result<(Response, u64), RegistryError> {
        let path = format!("{}/blobs/{digest}", self.repository);
        let response = self.get(&path, false, offset).await?;
        let begins = if response.status() == StatusCode::PARTIAL_CONTENT { offset } else { 0 };
        Ok((response, begins))
    }

    /// The first host that has it answers. A mirror that fails is only passed over.
    async fn get(&self, path: &str, resolve: bool, from: u64) -> Result<Response, RegistryError> {
        let headers = |request: reqwest::RequestBuilder| match from {
            0 => request.header(ACCEPT, MANIFESTS),
            from => request.header(ACCEPT, MANIFESTS).header(RANGE, format!("bytes={from}-")),
        };
        let mut failure: Option<(bool, RegistryError)> = None;
        for host in self.hosts.iter().filter(|host| host.resolves() || !resolve) {
            match host.get(path, headers).await {
                Ok(response) => return Ok(response),
                Err(other) => {
                    tracing::debug!(failure = %other, path, "a host does not serve it");
                    // The registry has the last word. Only one that is silent is asked in plain
                    // text, if at all.
                    let silent = matches!(other, RegistryError::Unreachable { .. });
                    let own = !host.is_mirror();
                    if own && !silent {
                        return Err(other);
                    }
                    failure = Some(match failure {
                        Some((true, earlier)) if own => (true, earlier.nor(&other)),
                        Some(kept) if kept.0 || !own => kept,
                        _ => (own, other),
                    });
                }
            }
        }
        let failure = failure.map(|(_, failure)| failure);
        Err(failure.unwrap_or_else(|| RegistryError::NotFound {
            host: "no host of hosts.toml".into(),
            what: path.into(),
        }))
    }
}

fn mismatch(what: &str, found: String, announced: &str) -> RegistryError {
    RegistryError::Mismatch { what: what.into(), found, announced: announced.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_way_that_was_tried_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let image = "127.0.0.1:1/web:1".parse().unwrap();
        let remote = Remote::open(&image, &Auth::default(), dir.path()).unwrap();

        let refused = remote.get("web/manifests/1", true, 0).await.unwrap_err().to_string();

        for url in ["https://127.0.0.1:1 cannot be reached", "nor http://127.0.0.1:1: "] {
            assert!(refused.contains(url), "{refused}");
        }
    }
}
