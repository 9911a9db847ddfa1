//! The memory of request ids: a retry gets the first result, also after a restore.
//!
//! A request is remembered for [`REQUEST_MEMORY`] on the state's clock, and no longer than it
//! is among the newest [`REQUEST_LIMIT`]; the newest [`REQUEST_KEPT`] are remembered at any age,
//! since a clock that is set ahead makes all of them old at once. Age is judged once per entry, so that every replica
//! forgets at the same point of the log. Requests are kept, written down and restored in the
//! order they were applied in: the clock cannot tell that order, since it stands still while a
//! proposer's clock is behind.

use std::sync::Arc;
use std::time::Duration;

use immutable_chunkmap::map::Map;
use swarm_types::{Refusal, RememberedRequest, RequestId, Timestamp};

use crate::hash::Sum;

/// How long a request is remembered, on the state's clock.
pub const REQUEST_MEMORY: Duration = Duration::from_secs(600);

/// How many requests are remembered; the oldest are forgotten first.
pub const REQUEST_LIMIT: usize = 65_536;

/// How many of the newest requests are remembered whatever their age.
pub const REQUEST_KEPT: usize = 4096;

/// Kind of a request in the state hash.
const REQUEST: u8 = 33;

/// The remembered requests.
#[derive(Clone, Default)]
pub(crate) struct Requests {
    /// Numbers, not the requests: an entry writes all over this map, and copying a chunk of it
    /// must not touch what each request holds.
    by_id: Map<RequestId, u64, 32>,
    /// Oldest first, numbered as they came.
    by_age: Map<u64, Arc<RememberedRequest>, 32>,
    next: u64,
    sum: Sum,
}

impl Requests {
    pub(crate) fn get(&self, id: &RequestId) -> Option<&Arc<RememberedRequest>> {
        self.by_age.get(self.by_id.get(id)?)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<RememberedRequest>> {
        self.by_age.into_iter().map(|(_, remembered)| remembered)
    }

    pub(crate) const fn sum(&self) -> Sum {
        self.sum
    }

    pub(crate) fn remember(&mut self, id: RequestId, at: Timestamp, outcome: Result<u64, Refusal>) {
        self.insert(RememberedRequest { request: id, at, outcome });
    }

    /// Enters a request that is not there yet and is newer than all others.
    pub(crate) fn insert(&mut self, remembered: RememberedRequest) {
        self.sum.add(Sum::of(REQUEST, &remembered));
        self.by_id.insert_cow(remembered.request, self.next);
        self.by_age.insert_cow(self.next, Arc::new(remembered));
        self.next += 1;
    }

    /// Forgets what is too old at `now` or too much.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        let surplus = self.len().saturating_sub(REQUEST_LIMIT);
        let aging = self.len().saturating_sub(REQUEST_KEPT);
        let old = |it: &RememberedRequest| now.since(it.at) >= REQUEST_MEMORY;
        let all = self.by_age.into_iter().enumerate();
        let leaving = all.take_while(|(at, (_, it))| *at < surplus || (*at < aging && old(it)));
        let leaving: Vec<_> = leaving.map(|(_, (key, it))| (*key, it.request)).collect();
        for (key, id) in leaving {
            self.by_id.remove_cow(&id);
            if let Some(gone) = self.by_age.remove_cow(&key) {
                self.sum.subtract(Sum::of(REQUEST, &gone));
            }
        }
    }
}
