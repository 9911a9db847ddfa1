//! `Images`: the node's image store, over the runtime.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use swarm_proto::v1;
use swarm_proto::v1::images_server::Images;
use swarm_proto::v1::load_request::Part;
use swarm_runtime::Error;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_util::io::StreamReader;
use tonic::{Request, Response, Status, Streaming};

use crate::Inner;

/// How long the next piece of an archive may take to come.
const PIECE_DEADLINE: Duration = Duration::from_secs(60);

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
        let images = images.into_iter().map(shown).collect();
        Ok(Response::new(v1::ListImagesResponse { images }))
    }

    type PullStream = tokio_stream::Empty<Result<v1::PullResponse, Status>>;

    async fn pull(
        &self,
        _: Request<v1::PullRequest>,
    ) -> Result<Response<Self::PullStream>, Status> {
        Err(Status::unimplemented("not supported yet: image pull"))
    }

    async fn remove(
        &self,
        _: Request<v1::RemoveImageRequest>,
    ) -> Result<Response<v1::RemoveImageResponse>, Status> {
        Err(Status::unimplemented("not supported yet: image rm"))
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

fn shown(image: swarm_runtime::Image) -> v1::Image {
    v1::Image { name: image.name, digest: image.digest, size_bytes: image.size }
}

fn refused(error: &Error) -> Status {
    let text = error.to_string();
    match error {
        Error::BadArchive(_) | Error::BadReference { .. } => Status::invalid_argument(text),
        Error::Unavailable { .. } => Status::unavailable(text),
        _ => Status::internal(text),
    }
}
