//! What the users of one runtime share while they work on images.
//!
//! [`Locks`] sees to it that the same image, blob or layer is worked on once: the next one waits
//! and finds it done. [`Shared::records`] keeps image records from changing while a container is
//! made of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard, RwLock};
use tokio::time::Instant;

use super::Image;
use crate::archive::ImageDocument;
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
    /// Read while a container is made, written while a record changes or goes.
    pub(super) records: Arc<RwLock<()>>,
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

/// A lock per name, there as long as somebody holds it or waits for it.
#[derive(Debug)]
pub(super) struct Locks<T>(Mutex<HashMap<String, Weak<Turn<T>>>>);

impl<T> Default for Locks<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Default> Locks<T> {
    /// Waits for the name's turn; whoever waits bounds what they do before.
    pub(super) async fn lock(&self, name: &str) -> OwnedMutexGuard<T> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let found = turns.get(name).and_then(Weak::upgrade);
            found.unwrap_or_else(|| {
                turns.retain(|_, turn| turn.strong_count() > 0);
                let turn = Arc::default();
                turns.insert(name.to_owned(), Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_wait_see_what_the_first_left() {
        let locks = Arc::new(Locks::<u32>::default());
        let mut first = locks.lock("a").await;
        let other = locks.lock("b").await;
        let waiting = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { *locks.lock("a").await }
        });
        while Arc::strong_count(OwnedMutexGuard::mutex(&first)) < 2 {
            tokio::task::yield_now().await;
        }

        *first = 7;
        drop(first);

        assert_eq!((waiting.await.unwrap(), *other), (7, 0));
        // Nobody holds it any more: it begins anew, and the map does not grow.
        assert_eq!(*locks.lock("a").await, 0);
        drop(other);
        for n in 0..100 {
            drop(locks.lock(&n.to_string()).await);
        }
        assert!(locks.0.lock().unwrap().len() <= 2);
    }
}
