//! One layer, from wherever the last attempt broke off, straight into containerd.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;

use super::super::store::Store;
use super::{Listener, Phase, Progress};
use crate::archive::Descriptor;
use crate::content::{self, Labels, Upload};
use crate::registry::{Backoff, Remote};
use crate::{Error, RegistryError, lease};

/// Between two words of progress.
const QUIET: Duration = Duration::from_millis(100);

/// Tells how far a layer is.
pub(super) struct Report<'a> {
    pub(super) layer: &'a Descriptor,
    listener: Listener<'a>,
    last: Mutex<Option<Instant>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(layer: &'a Descriptor, listener: Listener<'a>) -> Self {
        Self { layer, listener, last: Mutex::default() }
    }

    /// A phase in which the layer is there, or nothing of it matters.
    pub(super) fn whole(&self, phase: Phase) {
        let done = if phase == Phase::Waiting { 0 } else { self.layer.size };
        self.tell(phase, done);
    }

    fn bytes(&self, done: u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= QUIET) {
            *last = Some(Instant::now());
            drop(last);
            self.tell(Phase::Downloading, done);
        }
    }

    fn tell(&self, phase: Phase, done: u64) {
        let Descriptor { digest, size, .. } = self.layer;
        (self.listener)(&Progress { digest: digest.clone(), phase, done, total: *size });
    }
}

impl Store<'_> {
    /// Sees to it that the layer is in containerd's store, checked.
    pub(super) async fn fetch(&self, remote: &Remote, report: &Report<'_>) -> Result<(), Error> {
        let digest = &report.layer.digest;
        report.whole(Phase::Waiting);
        let _turn = self.shared.blobs.lock(digest).await;
        lease::hold(&self.link, self.lease, "content", digest).await?;
        if content::holds(&self.link, digest).await? {
            report.whole(Phase::Present);
            return Ok(());
        }
        let name = format!("swarm-fetch-{digest}");
        let mut backoff = Backoff::default();
        loop {
            let have = content::unfinished(&self.link, &name).await?;
            let Err(failure) = self.rest(remote, report, &name, have).await else {
                report.whole(Phase::Downloaded);
                return Ok(());
            };
            match understood(digest, failure) {
                // What an earlier try left may be what is wrong.
                Error::Registry(RegistryError::Mismatch { .. }) if have > 0 => {
                    content::abort(&self.link, &name).await?;
                }
                wrong @ Error::Registry(RegistryError::Mismatch { .. }) => {
                    content::abort(&self.link, &name).await?;
                    return Err(wrong);
                }
                failure => {
                    if content::unfinished(&self.link, &name).await.unwrap_or(0) > have {
                        backoff.progress();
                    }
                    tracing::debug!(%failure, %digest, "a layer broke off");
                    let wait = match &failure {
                        Error::Registry(failure) => failure.wait(),
                        _ => Duration::ZERO,
                    };
                    if !super::may_go_away(&failure) || !backoff.pause(wait).await {
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// Fetches what comes after the first `have` bytes and finishes the blob.
    async fn rest(
        &self,
        remote: &Remote,
        report: &Report<'_>,
        name: &str,
        have: u64,
    ) -> Result<(), Error> {
        let Descriptor { digest, size, .. } = report.layer;
        let (labels, size) = (Labels::new(), *size);
        let upload = Upload { digest, size, labels: &labels };
        if have > size {
            return Err(longer(digest, size).into());
        }
        if have == size {
            return content::append(&self.link, name, upload, have, tokio::io::empty()).await;
        }
        report.bytes(have);
        let (response, begins) = remote.blob(digest, have).await?;
        let host = response.url().host_str().unwrap_or_default().to_owned();
        let mut done = begins;
        let pieces = response.bytes_stream().map(move |piece| {
            let broken = |why: reqwest::Error| crate::registry::broken(&host, &why);
            let piece = piece.map_err(broken).map_err(std::io::Error::other)?;
            done = done.saturating_add(piece.len() as u64);
            if done > size {
                return Err(std::io::Error::other(longer(digest, size)));
            }
            report.bytes(done);
            Ok(piece)
        });
        let mut source = StreamReader::new(Box::pin(pieces));
        // A host that does not know ranges sends all of it again.
        let again = have.saturating_sub(begins);
        let mut known = (&mut source).take(again);
        let skipped = tokio::io::copy(&mut known, &mut tokio::io::sink()).await;
        skipped.map_err(Error::io("read a blob"))?;
        content::append(&self.link, name, upload, have, source).await
    }
}

fn longer(digest: &str, size: u64) -> RegistryError {
    RegistryError::Mismatch {
        what: format!("layer {digest}"),
        found: "longer".into(),
        announced: format!("{size} bytes"),
    }
}

/// What a failed write means: the source's own failure, or containerd's word on the digest.
fn understood(digest: &str, failure: Error) -> Error {
    match failure {
        Error::Io { doing, source } => match source.downcast::<RegistryError>() {
            Ok(refusal) => refusal.into(),
            Err(source) => Error::Io { doing, source },
        },
        Error::Containerd { status, .. }
            if matches!(
                status.code(),
                tonic::Code::FailedPrecondition | tonic::Code::OutOfRange
            ) =>
        {
            let found = status.message().split([' ', ',']).find(|word| word.starts_with("sha256:"));
            RegistryError::Mismatch {
                what: format!("layer {digest}"),
                found: found.unwrap_or("of another size").into(),
                announced: digest.into(),
            }
            .into()
        }
        other => other,
    }
}
