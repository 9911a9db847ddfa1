//! `Images`: the node's image store, over the runtime.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use swarm_proto::v1;
use swarm_proto::v1::images_server::Images;
use swarm_proto::v1::load_request::Part;
use swarm_runtime::{Auth, Error, Image, Phase, Progress, RegistryError, Removed, Spare};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_util::io::StreamReader;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::Inner;

/// How long the next piece of an archive may take to come.
const PIECE_DEADLINE: Duration = Duration::from_secs(60);
/// Steps of a pull that wait for a slow reader.
const PROGRESS: usize = 256;

/// The node's image store.
#[derive(Debug)]
pub(crate) struct Store(pub(crate) Arc<Inner>);

#[tonic::async_trait]
impl Images for Store {
    async fn load(
        &self,
        request: Request<Streaming<v1::LoadRequest>>,
    ) -> Result<Response<v1::LoadResponse>, Status> {
        let mut parts = request.into_inner();
        let name = header(&mut parts).await?;
        let archive = StreamReader::new(Box::pin(parts.timeout(PIECE_DEADLINE).map(chunk)));
        let loaded = self.0.runtime.load(archive, name.as_deref()).await;
        let images = loaded.map_err(|error| refused(&error))?.into_iter().map(shown).collect();
        Ok(Response::new(v1::LoadResponse { images }))
    }

    async fn list(
        &self,
        _: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        let images = self.0.runtime.images().await.map_err(|error| refused(&error))?;
        let containers = self.0.runtime.containers().await.map_err(|error| refused(&error))?;
        let counted = |image: Image| {
            let made = containers.iter().filter(|it| it.image == image.name).count();
            v1::Image { containers: u32::try_from(made).unwrap_or(u32::MAX), ..shown(image) }
        };
        let images = images.into_iter().map(counted).collect();
        Ok(Response::new(v1::ListImagesResponse { images }))
    }

    type PullStream = BoxStream<'static, Result<v1::PullResponse, Status>>;

    async fn pull(
        &self,
        request: Request<v1::PullRequest>,
    ) -> Result<Response<Self::PullStream>, Status> {
        let v1::PullRequest { reference, registry_auth } = request.into_inner();
        let auth = registry_auth.as_ref().map_or(b"".as_slice(), |auth| &auth.value);
        let auth = Auth::from_header(auth).map_err(|error| refused(&error.into()))?;
        let (sender, progress) = mpsc::channel(PROGRESS);
        let runtime = self.0.runtime.clone();
        let pull = async move {
            let listener = |progress: &Progress| {
                // One who reads slowly misses steps, never the end.
                let _ = sender.try_send(step(progress));
            };
            runtime.pull(&reference, &auth, listener).await
        };
        // Nothing is spawned: a caller who hangs up drops the stream, and with it the pull.
        let pull = Pull { progress, pull: Some(Box::pin(pull)) };
        Ok(Response::new(Box::pin(futures::stream::unfold(pull, Pull::next))))
    }

    async fn remove(
        &self,
        request: Request<v1::RemoveImageRequest>,
    ) -> Result<Response<v1::RemoveImageResponse>, Status> {
        let v1::RemoveImageRequest { reference, force } = request.into_inner();
        let spare = if force { Spare::Running } else { Spare::Used };
        let removed = self.0.runtime.remove_image(&reference, spare).await;
        let Removed { untagged, deleted } = removed.map_err(|error| refused(&error))?;
        Ok(Response::new(v1::RemoveImageResponse { untagged, deleted }))
    }
}

/// A pull that goes on as long as its caller reads.
struct Pull {
    progress: mpsc::Receiver<v1::PullProgress>,
    pull: Option<BoxFuture<'static, Result<Image, Error>>>,
}

type Message = Result<v1::PullResponse, Status>;

impl Pull {
    /// Progress until the pull has ended; then, after the rest of it, how it ended.
    async fn next(mut self) -> Option<(Message, Self)> {
        use v1::pull_response::What;
        let pull = self.pull.as_mut()?;
        let message = tokio::select! {
            biased;
            Some(progress) = self.progress.recv() => Ok(What::Progress(progress)),
            ended = pull => {
                self.pull = None;
                ended.map(|image| What::Image(shown(image))).map_err(|error| refused(&error))
            }
        };
        Some((message.map(|what| v1::PullResponse { what: Some(what) }), self))
    }
}

fn step(progress: &Progress) -> v1::PullProgress {
    use v1::pull_progress::Phase as Shown;
    let phase = match progress.phase {
        Phase::Waiting => Shown::Waiting,
        Phase::Downloading => Shown::Downloading,
        Phase::Downloaded => Shown::Downloaded,
        Phase::Unpacking => Shown::Unpacking,
        Phase::Done => Shown::Done,
        Phase::Present => Shown::Present,
    };
    v1::PullProgress {
        digest: progress.digest.clone(),
        phase: phase.into(),
        done_bytes: progress.done,
        total_bytes: progress.total,
    }
}

/// The name in the header, `None` when it is empty.
async fn header(parts: &mut Streaming<v1::LoadRequest>) -> Result<Option<String>, Status> {
    let first = timeout(PIECE_DEADLINE, parts.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded("no header came"))??;
    match first.and_then(|request| request.part) {
        Some(Part::Header(header)) => Ok(Some(header.name).filter(|name| !name.is_empty())),
        _ => Err(Status::invalid_argument("an archive begins with a header")),
    }
}

type Piece = Result<Result<v1::LoadRequest, Status>, tokio_stream::Elapsed>;

fn chunk(piece: Piece) -> io::Result<io::Cursor<Vec<u8>>> {
    let request = piece.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
    match request.map_err(io::Error::other)?.part {
        Some(Part::Chunk(bytes)) => Ok(io::Cursor::new(bytes)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a second header")),
    }
}

fn shown(image: Image) -> v1::Image {
    let created = image.created.and_then(|at| i64::try_from(at.as_nanosecond()).ok());
    v1::Image {
        name: image.name,
        digest: image.digest,
        size_bytes: image.size,
        created_at_ns: created,
        repo_digests: image.repo_digest.into_iter().collect(),
        labels: image.config.labels.into_iter().collect(),
        containers: 0,
    }
}

/// Says why with every cause: over the wire there is only the text.
fn refused(error: &Error) -> Status {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    Status::new(code(error), text)
}

fn code(error: &Error) -> Code {
    match error {
        Error::BadArchive(_) | Error::BadReference { .. } => Code::InvalidArgument,
        Error::ImageMissing { .. } => Code::NotFound,
        Error::ImageUsed { .. } => Code::FailedPrecondition,
        Error::Unavailable { .. } => Code::Unavailable,
        Error::Registry(refusal) => match refusal {
            RegistryError::NotFound { .. } => Code::NotFound,
            RegistryError::Denied { .. } => Code::PermissionDenied,
            RegistryError::Credentials(_) => Code::InvalidArgument,
            refusal if refusal.is_transient() => Code::Unavailable,
            _ => Code::FailedPrecondition,
        },
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use swarm_runtime::BadArchive;

    use super::*;

    #[test]
    fn a_refusal_says_why_once() {
        let junk: Error = BadArchive::NotImage.into();
        let denied = RegistryError::Denied {
            host: "https://r.io".into(),
            what: "web".into(),
            why: "log in first".into(),
        };

        let (junk, denied) = (refused(&junk), refused(&denied.into()));

        let expected = "bad image archive: holds neither an OCI layout nor a docker archive";
        assert_eq!((junk.code(), junk.message()), (Code::InvalidArgument, expected));
        let expected = "https://r.io denies web: log in first";
        assert_eq!((denied.code(), denied.message()), (Code::PermissionDenied, expected));
    }
}
