//! The images of the node behind the socket.

use std::collections::BTreeMap;

use swarm_proto::v1;
use swarm_proto::v1::images_client::ImagesClient;
use swarm_types::Sensitive;
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
    /// When it was made, in nanoseconds since the Unix epoch; `None` when it does not say.
    pub created_at_ns: Option<i64>,
    /// Names by which registries always give it, `REPOSITORY@sha256:...`.
    pub repo_digests: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Containers made of it, running or not; 0 where they were not counted.
    pub containers: u32,
}

impl From<v1::Image> for Image {
    fn from(image: v1::Image) -> Self {
        Self {
            name: image.name,
            digest: image.digest,
            size_bytes: image.size_bytes,
            created_at_ns: image.created_at_ns,
            repo_digests: image.repo_digests,
            labels: image.labels.into_iter().collect(),
            containers: image.containers,
        }
    }
}

/// How far a layer is that is pulled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PullProgress {
    /// The layer's digest.
    pub digest: String,
    /// What happens to it.
    pub phase: PullPhase,
    /// Bytes fetched.
    pub done_bytes: u64,
    /// Bytes in all; 0 when unknown.
    pub total_bytes: u64,
}

/// What happens to a layer that is pulled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PullPhase {
    /// Its turn has not come.
    Waiting,
    /// It is fetched.
    Downloading,
    /// It is there, and checked.
    Downloaded,
    /// It is unpacked.
    Unpacking,
    /// It is unpacked and kept.
    Done,
    /// It was there already.
    Present,
}

impl PullProgress {
    /// `None` for a phase that this version does not know: there is nothing to tell.
    fn read(progress: v1::PullProgress) -> Option<Self> {
        use v1::pull_progress::Phase;
        let phase = match progress.phase() {
            Phase::Unspecified => return None,
            Phase::Waiting => PullPhase::Waiting,
            Phase::Downloading => PullPhase::Downloading,
            Phase::Downloaded => PullPhase::Downloaded,
            Phase::Unpacking => PullPhase::Unpacking,
            Phase::Done => PullPhase::Done,
            Phase::Present => PullPhase::Present,
        };
        let v1::PullProgress { digest, done_bytes, total_bytes, .. } = progress;
        Some(Self { digest, phase, done_bytes, total_bytes })
    }
}

/// Which images are kept from removal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageRemoval {
    /// Those a container was made of, running or not.
    Careful,
    /// Those a container runs; a digest stands for all of its names.
    Forced,
}

/// What went with an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemovedImage {
    /// Names that were dropped.
    pub untagged: Vec<String>,
    /// Digests whose content went with them.
    pub deleted: Vec<String>,
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

    /// Has the node fetch an image from its registry; `auth` is as in Docker's X-Registry-Auth,
    /// empty for none. Each step is given to `progress`. Dropping the future ends the pull; what
    /// was fetched stays for another.
    ///
    /// There is no overall deadline: the daemon gives up on a registry that falls silent.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with what the registry or the daemon said.
    pub async fn pull_image(
        &self,
        reference: &str,
        auth: &Sensitive,
        mut progress: impl FnMut(PullProgress),
    ) -> Result<Image, ClientError> {
        use v1::pull_response::What;
        let failed = |status| ClientError::of(&self.target, status);
        let registry_auth = Some(auth.into());
        let request = v1::PullRequest { reference: reference.to_owned(), registry_auth };
        let mut answers = self.image_store().pull(request).await.map_err(failed)?.into_inner();
        while let Some(answer) = answers.message().await.map_err(failed)? {
            match answer.what {
                Some(What::Image(image)) => return Ok(image.into()),
                Some(What::Progress(step)) => {
                    PullProgress::read(step).into_iter().for_each(&mut progress);
                }
                None => {}
            }
        }
        Err(failed(tonic::Status::data_loss("the pull ended without an image")))
    }

    /// Drops a name of an image, or the name of the image whose digest begins so.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when there is no such image, or when it is in use as `removal`
    /// says.
    pub async fn remove_image(
        &self,
        reference: &str,
        removal: ImageRemoval,
    ) -> Result<RemovedImage, ClientError> {
        let force = removal == ImageRemoval::Forced;
        let answer = self
            .call(|| {
                let mut store = self.image_store();
                let reference = reference.to_owned();
                async move { store.remove(v1::RemoveImageRequest { reference, force }).await }
            })
            .await?;
        Ok(RemovedImage { untagged: answer.untagged, deleted: answer.deleted })
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
