//! What the users of one runtime share while they work on images.
//!
//! [`Locks`] sees to it that the same image, blob or layer is worked on once: the next one waits
//! and finds it done. [`Shared::records`] keeps an image's record from changing while a container is
//! made of it; what happens to other images waits for neither.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock as Turn};
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
    pub(super) async fn lock(&self, name: &str) -> OwnedRwLockWriteGuard<T> {
        self.turn(name).write_owned().await
    }

    /// Waits until nobody has the name locked; several share it.
    pub(super) async fn share(&self, name: &str) -> OwnedRwLockReadGuard<T> {
        self.turn(name).read_owned().await
    }

    fn turn(&self, name: &str) -> Arc<Turn<T>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = turns.get(name).and_then(Weak::upgrade);
        found.unwrap_or_else(|| {
            turns.retain(|_, turn| turn.strong_count() > 0);
            let turn = Arc::default();
            turns.insert(name.to_owned(), Arc::downgrade(&turn));
            turn
        })
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
        while Arc::strong_count(OwnedRwLockWriteGuard::rwlock(&first)) < 2 {
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

    #[tokio::test]
    async fn who_waits_for_one_name_holds_up_no_other() {
        let locks = Arc::new(Locks::<()>::default());
        let made = locks.share("a").await;
        let pulled = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { drop(locks.lock("a").await) }
        });
        while Arc::strong_count(OwnedRwLockReadGuard::rwlock(&made)) < 2 {
            tokio::task::yield_now().await;
        }

        let others = [locks.share("b").await, locks.share("b").await];

        assert!(!pulled.is_finished());
        drop((made, others));
        pulled.await.unwrap();
    }
}
