//! What the users of one runtime share while they work on images.
//!
//! [`Locks`] sees to it that the same image, blob or layer is worked on once: the next one waits
//! and finds it done. [`Shared::records`] keeps an image's record from changing while a container is
//! made of it; what happens to other images waits for neither.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::Image;
use crate::archive::ImageDocument;
use crate::locks::Locks;
use crate::{Auth, RegistryError};

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared {
    /// Images that are pulled, by name, with the last result.
    pub(super) pulls: Arc<Locks<Option<Pulled>>>,
    /// Blobs that are fetched, by digest.
    pub(super) blobs: Arc<Locks<()>>,
    /// Layers that are unpacked, by the name of their snapshot.
    pub(super) layers: Arc<Locks<()>>,
    /// What was read of images.
    pub(super) facts: Arc<Known>,
    /// Records, by name: shared while a container is made of one, locked while it changes or goes.
    pub(super) records: Arc<Locks<()>>,
}

/// What manifest and configuration of an image say.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) document: ImageDocument,
    /// Bytes of configuration and layers as stored.
    pub(super) size: u64,
}

/// Images that are kept in mind.
const KNOWN: usize = 128;

/// What was read of images, by digest of the manifest.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<String, Arc<Facts>>>);

impl Known {
    pub(super) fn get(&self, digest: &str) -> Option<Arc<Facts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    pub(super) fn keep(&self, digest: &str, facts: &Arc<Facts>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those in use are soon read again.
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(digest.to_owned(), Arc::clone(facts));
    }

    pub(super) fn forget(&self, digest: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }
}

/// How a pull ended, for those who asked before it did.
#[derive(Debug)]
pub(super) struct Pulled {
    pub(super) at: Instant,
    pub(super) auth: Auth,
    pub(super) result: Result<Image, RegistryError>,
}
