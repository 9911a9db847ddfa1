//! A node's certificate, key and root under `certificates/`.
//!
//! Certificate and key change together or not at all. The next certificate is written beside
//! the old one, then the key is replaced, then the certificate takes its place: after a crash at
//! any point one of the two certificates belongs to the key, and [`CertificateFiles::load`]
//! finds which.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use swarm_types::Sensitive;

use super::{CaError, Certificate, NodeKey, from_pem};
use crate::files;

const ROOT: &str = "swarm-root-ca.crt";
const CHAIN: &str = "swarm-node.crt";
const KEY: &str = "swarm-node.key";
const PUBLIC: u32 = 0o644;

/// Why the files cannot be used. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file cannot be read or written.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file is damaged, missing beside the others, or not the partner of the others.
    #[error(
        "{} {why}; bring the folder back from a backup, or leave the cluster and join again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// A node's certificate with its key; they belong together.
#[derive(Debug)]
#[non_exhaustive]
pub struct NodeCertificate {
    /// What the certificate says.
    pub certificate: Certificate,
    /// The chain in PEM, the node's own first.
    pub chain: String,
    /// The key it belongs to.
    pub key: NodeKey,
}

impl NodeCertificate {
    /// Brings a chain and a key together.
    ///
    /// # Errors
    ///
    /// [`CaError::BadRequest`] when the chain does not begin with a node's certificate,
    /// [`CaError::Mismatch`] when that is another key's.
    pub fn new(chain: String, key: NodeKey) -> Result<Self, CaError> {
        let certificate = read_chain(&chain).ok_or(CaError::BadRequest("no node's chain"))?;
        if certificate.fingerprint != key.fingerprint() {
            return Err(CaError::Mismatch);
        }
        Ok(Self { certificate, chain, key })
    }
}

fn read_chain(chain: &str) -> Option<Certificate> {
    from_pem(chain)?.first().and_then(|leaf| Certificate::from_der(leaf).ok())
}

/// The folder of a node's certificate files.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    folder: PathBuf,
}

impl CertificateFiles {
    /// Opens the folder, making it when it is missing.
    ///
    /// # Errors
    ///
    /// [`FilesError::Io`].
    pub fn open(folder: &Path) -> Result<Self, FilesError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(failed("make", folder))?;
        Ok(Self { folder: folder.into() })
    }

    /// The root this node trusts, in PEM; `None` before the first.
    ///
    /// # Errors
    ///
    /// [`FilesError`].
    pub fn root(&self) -> Result<Option<String>, FilesError> {
        let path = self.path(ROOT);
        let Some(text) = read(&path)? else { return Ok(None) };
        match from_pem(&text).is_some_and(|certificates| !certificates.is_empty()) {
            true => Ok(Some(text)),
            false => Err(FilesError::Damaged { path, why: "is not a certificate" }),
        }
    }

    /// Replaces the root.
    ///
    /// # Errors
    ///
    /// [`FilesError::Io`].
    pub fn save_root(&self, root_pem: &str) -> Result<(), FilesError> {
        let path = self.path(ROOT);
        files::replace(&path, root_pem.as_bytes(), PUBLIC).map_err(failed("write", &path))
    }

    /// The node's certificate and key; `None` before the first. A change that a
    /// crash cut short is finished, or has not happened.
    ///
    /// # Errors
    ///
    /// [`FilesError::Damaged`] when no certificate here belongs to the key.
    pub fn load(&self) -> Result<Option<NodeCertificate>, FilesError> {
        let (chain_path, key_path) = (self.path(CHAIN), self.path(KEY));
        let next_path = files::beside(&chain_path);
        let (chain, next) = (read(&chain_path)?, read(&next_path)?);
        let Some(key) = read(&key_path)? else {
            return match chain {
                None => Ok(None),
                Some(_) => Err(FilesError::Damaged { path: key_path, why: "is missing" }),
            };
        };
        let key = NodeKey::from_pem(&Sensitive::new(key.into_bytes()))
            .map_err(|_| FilesError::Damaged { path: key_path, why: "is not a node's key" })?;
        let belongs = |chain: &String| {
            read_chain(chain).is_some_and(|found| found.fingerprint == key.fingerprint())
        };
        let chain = match (chain.filter(belongs), next.filter(belongs)) {
            (Some(chain), _) => chain,
            (None, Some(next)) => {
                self.finish(&next_path, &chain_path)?;
                next
            }
            (None, None) => {
                let why = "is not the certificate of the key beside it";
                return Err(FilesError::Damaged { path: chain_path, why });
            }
        };
        let found = NodeCertificate::new(chain, key);
        let damaged = |_| FilesError::Damaged { path: chain_path, why: "is not a certificate" };
        found.map(Some).map_err(damaged)
    }

    /// Replaces certificate and key together.
    ///
    /// # Errors
    ///
    /// [`FilesError::Io`]; the pair before or the pair after is then found by
    /// [`CertificateFiles::load`].
    pub fn save(&self, node: &NodeCertificate) -> Result<(), FilesError> {
        let (chain, key) = (self.path(CHAIN), self.path(KEY));
        let next = files::beside(&chain);
        let written = files::write_synced(&next, node.chain.as_bytes(), PUBLIC)
            .and_then(|()| files::sync_folder(&next));
        written.map_err(failed("write", &next))?;
        let replaced = files::replace(&key, node.key.to_pem().expose(), files::SECRET);
        replaced.map_err(failed("write", &key))?;
        self.finish(&next, &chain)
    }

    fn finish(&self, next: &Path, chain: &Path) -> Result<(), FilesError> {
        let renamed = fs::rename(next, chain).and_then(|()| files::sync_folder(chain));
        renamed.map_err(failed("replace", chain))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

pub(super) fn failed(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> FilesError + use<> {
    let path = path.into();
    move |source| FilesError::Io { action, path, source }
}

fn read(path: &Path) -> Result<Option<String>, FilesError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}
