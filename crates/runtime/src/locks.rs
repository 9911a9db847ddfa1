//! Turns at what has a name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock as Turn};

/// A lock per name, there as long as somebody holds it or waits for it.
#[derive(Debug)]
pub(crate) struct Locks<T>(Mutex<HashMap<String, Weak<Turn<T>>>>);

impl<T> Default for Locks<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Default> Locks<T> {
    /// Waits for the name's turn; whoever waits bounds what they do before.
    pub(crate) async fn lock(&self, name: &str) -> OwnedRwLockWriteGuard<T> {
        self.turn(name).write_owned().await
    }

    /// Waits until nobody has the name locked; several share it.
    pub(crate) async fn share(&self, name: &str) -> OwnedRwLockReadGuard<T> {
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
