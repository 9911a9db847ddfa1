//! What an image archive holds, checked before containerd sees any of it.
//!
//! An archive is read once, as it comes: [`spool`] sorts its members into files of a temporary
//! directory and measures them. [`layout`] (OCI) and [`docker`] then read the few documents that
//! say how those files make up images. The result, a [`Bundle`] per image, names only files that
//! exist and whose digests and sizes are as announced, so storing one can fail for few reasons.
//!
//! Archives come from anybody. Their member names never become paths, links are refused, and
//! number, size and documents are bounded by [`Limits`].

mod docker;
mod documents;
mod layer;
mod layout;
mod spool;

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncRead;

use crate::Error;
pub(crate) use documents::{
    CONFIGS, Compression, Descriptor, IMAGES as MANIFESTS, INDEXES, ImageDocument, Index, Manifest,
    here, hex, rank,
};

/// Bounds on what is accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of all members together, after decompression of the archive itself; and again of
    /// all gzipped layers together, after theirs.
    pub bytes: u64,
    /// Members.
    pub members: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 32 << 30, members: 4096 }
    }
}

/// Layers of one image; the kernel's overlay takes no more once a container adds its own.
const LAYERS: usize = 125;

/// Images of one archive, and names of each.
const IMAGES: usize = 128;

/// Why an archive was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadArchive {
    /// Not a tar, a broken one, or one that ends early.
    #[error("not a whole tar archive: {}", .0.escape_debug())]
    NotTar(String),
    /// A tar without `index.json` or `manifest.json`.
    #[error("holds neither an OCI layout nor a docker archive")]
    NotImage,
    /// More or larger members than [`Limits`] allow.
    #[error("exceeds the limit of {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// A member's name leaves the archive, or is there twice.
    #[error("member name {0:?} is not allowed")]
    MemberName(String),
    /// A link, device or other member that is neither file nor directory.
    #[error("member {0:?} is neither file nor directory")]
    MemberKind(String),
    /// A document that cannot be read.
    #[error("{document}: {why}")]
    Document {
        /// Its name in the archive.
        document: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something the documents speak of is not in the archive.
    #[error("{0} is missing")]
    Missing(String),
    /// Content that is not what its digest or size says.
    #[error("{what} is {found}, announced as {announced}")]
    Mismatch {
        /// What was compared.
        what: String,
        /// What it is.
        found: String,
        /// What it should be.
        announced: String,
    },
    /// A kind of blob this runtime does not store.
    #[error("media type {0:?} is not supported")]
    MediaType(String),
    /// None of its images runs on this machine.
    #[error("holds no image for {0}")]
    Platform(String),
    /// An image without a name, or several of them for the one name given.
    #[error("an image in it has no name: give one")]
    Unnamed,
    /// A name that is none.
    #[error("image name {name:?}: {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

/// One image: everything that will be stored, all of it present and measured.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// Full names, at least one.
    pub(crate) names: Vec<String>,
    pub(crate) manifest_type: String,
    pub(crate) manifest: Vec<u8>,
    pub(crate) manifest_digest: String,
    pub(crate) config: Blob,
    /// Bottom first, as many as `diff_ids`.
    pub(crate) layers: Vec<Blob>,
    /// Digests of the layers as tar.
    pub(crate) diff_ids: Vec<String>,
}

/// A blob in the spool.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    pub(crate) file: PathBuf,
}

/// Images of one archive; their files live as long as this.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) bundles: Vec<Bundle>,
    _spool: spool::Spool,
}

/// Reads a whole archive. `name` is for the one image in it that carries none.
pub(crate) async fn read(
    source: impl AsyncRead + Send + Unpin,
    name: Option<String>,
    dir: &Path,
    limits: Limits,
) -> Result<Contents, Error> {
    let spool = spool::receive(source, dir, limits).await?;
    let read = tokio::task::spawn_blocking(move || {
        let bundles = if spool.holds("index.json") {
            layout::bundles(&spool, name.as_deref())?
        } else if spool.holds("manifest.json") {
            docker::bundles(&spool, name.as_deref())?
        } else {
            return Err(BadArchive::NotImage);
        };
        layer::check_sizes(&bundles, limits.bytes)?;
        Ok(Contents { bundles, _spool: spool })
    });
    Ok(read.await.map_err(|stopped| Error::io("read the archive")(stopped.into()))??)
}

/// Full names of an image, from its own or the one given by the user.
fn names(own: &[String], given: Option<&str>) -> Result<Vec<String>, BadArchive> {
    let given: Vec<String> = given.map(str::to_owned).into_iter().collect();
    let names = if own.is_empty() { &given } else { own };
    if names.is_empty() {
        return Err(BadArchive::Unnamed);
    }
    within(names.len(), IMAGES, "names of an image")?;
    let full = |name: &String| {
        let bad = |why: Error| BadArchive::Name { name: name.clone(), why: why.to_string() };
        crate::full_name(name).map_err(bad)
    };
    names.iter().map(full).collect()
}

fn within(count: usize, most: usize, what: &'static str) -> Result<(), BadArchive> {
    if count > most { Err(BadArchive::TooLarge { what, limit: most as u64 }) } else { Ok(()) }
}

/// Checks what configuration and layers say of each other.
pub(crate) fn check_config(config: &ImageDocument, layers: usize) -> Result<(), BadArchive> {
    if !documents::runs_here(&config.os, &config.architecture) {
        return Err(BadArchive::Platform(documents::here()));
    }
    within(layers, LAYERS, "layers")?;
    let diff_ids = &config.rootfs.diff_ids;
    if layers == 0 || diff_ids.len() != layers {
        return Err(BadArchive::Mismatch {
            what: "number of layers".into(),
            found: layers.to_string(),
            announced: diff_ids.len().to_string(),
        });
    }
    diff_ids.iter().try_for_each(|digest| documents::hex(digest).map(drop))
}

/// `sha256:` and the digest of `bytes` in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    digest_text(Sha256::new_with_prefix(bytes))
}

fn digest_text(hasher: Sha256) -> String {
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
