//! The images of the node behind the socket.

use swarm_proto::v1;
use swarm_proto::v1::images_client::ImagesClient;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{Client, ClientError};

/// Bytes of an archive per message.
const CHUNK: usize = 256 << 10;
/// Messages of an archive that wait for the daemon.
const IN_FLIGHT: usize = 8;

/// An image of the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Full reference.
    pub name: String,
    /// Digest of its manifest, `sha256:...`.
    pub digest: String,
    /// Size of its content in bytes, as stored.
    pub size_bytes: u64,
}

impl From<v1::Image> for Image {
    fn from(image: v1::Image) -> Self {
        Self { name: image.name, digest: image.digest, size_bytes: image.size_bytes }
    }
}

impl Client {
    fn image_store(&self) -> ImagesClient<tonic::transport::Channel> {
        ImagesClient::new(self.channel.clone())
    }

    /// Loads the images of a docker-archive or OCI layout tar. `name` is for an archive whose
    /// image carries none.
    ///
    /// There is no overall deadline, since an archive may be large and slow to read; the daemon
    /// gives up on one that stops coming.
    ///
    /// # Errors
    ///
    /// [`ClientError::Archive`] when the source fails, [`ClientError::Refused`] when the archive
    /// is damaged or of another kind; nothing of it is kept then.
    pub async fn load_images(
        &self,
        source: impl AsyncRead + Send + Unpin,
        name: Option<&str>,
    ) -> Result<Vec<Image>, ClientError> {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        let mut store = self.image_store();
        let mut load = std::pin::pin!(store.load(ReceiverStream::new(receiver)));
        let answer = tokio::select! {
            // A refusal needs no more of the source, which may never come.
            answer = &mut load => answer,
            sent = send(source, name, sender) => {
                sent.map_err(ClientError::Archive)?;
                load.await
            }
        };
        let answer = answer.map_err(|status| ClientError::of(&self.target, status))?;
        Ok(answer.into_inner().images.into_iter().map(Image::from).collect())
    }

    /// The images of the node.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when containerd does not answer.
    pub async fn images(&self) -> Result<Vec<Image>, ClientError> {
        let answer = self
            .call(|| {
                let mut store = self.image_store();
                async move { store.list(v1::ListImagesRequest {}).await }
            })
            .await?;
        Ok(answer.images.into_iter().map(Image::from).collect())
    }
}

/// Sends header and chunks; stops early, without an error, when nobody takes them any more.
async fn send(
    mut source: impl AsyncRead + Unpin,
    name: Option<&str>,
    sender: mpsc::Sender<v1::LoadRequest>,
) -> std::io::Result<()> {
    use v1::load_request::{Header, Part};
    let mut part = Part::Header(Header { name: name.unwrap_or_default().to_owned() });
    while sender.send(v1::LoadRequest { part: Some(part) }).await.is_ok() {
        let mut chunk = vec![0; CHUNK];
        let read = source.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        chunk.truncate(read);
        part = Part::Chunk(chunk);
    }
    Ok(())
}
