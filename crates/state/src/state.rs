//! The one writer: takes entries in the order of the log, one at a time.
//!
//! Every group stands on its own. Nearly every refused one is refused before its first write. One
//! that wrote already, or panicked, spoils the pass: the entry is done again with a copy of the
//! tables before each group, so that a refused group leaves no trace. A panic refuses the group
//! that caused it, on every replica alike, instead of stopping all managers again and again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use swarm_types::{Entry, Group, HashCheck, LEVEL, Refusal, Timestamp};

use crate::apply::{self, Txn};
use crate::event::Batch;
use crate::index::Tables;
use crate::request::Requests;
use crate::snapshot::{Snapshot, View, state_hash};

/// A state hash is kept each time the log passes a multiple of this many entries.
pub const CHECK_EVERY: u64 = 4096;

/// Hashes kept for comparison.
const CHECKS: usize = 16;

/// The replicated state. One owner applies entries; readers take [`Snapshot`]s.
#[derive(Clone, Default)]
pub struct State {
    pub(crate) tables: Tables,
    pub(crate) requests: Requests,
    pub(crate) applied: u64,
    pub(crate) at: Timestamp,
    /// Newest last.
    pub(crate) checks: Vec<HashCheck>,
}

/// What an entry did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    /// One result per group, in order.
    pub results: Vec<Result<Accepted, Refusal>>,
    /// What changed.
    pub events: Arc<Batch>,
}

/// A group happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// Index of the entry that made it happen: the version of all it wrote.
    pub version: u64,
    /// True when it happened before and this is the remembered result.
    pub replayed: bool,
}

/// This replica must stop: going on would make it differ from the others.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Halt {
    /// The entry was written by a newer version. Upgrade, then start again.
    #[error(
        "entry {index} is written at level {level}, this version knows levels up to {known}: \
         upgrade this manager"
    )]
    UnknownLevel {
        /// The entry.
        index: u64,
        /// Its level.
        level: u32,
        /// The highest level this version knows.
        known: u32,
    },
    /// This replica's state differs from the proposer's. Reinstall it from a snapshot.
    #[error(
        "the state after entry {index} differs from the leader's: this manager must be \
         reinstalled from a snapshot"
    )]
    HashMismatch {
        /// The entry after which the hashes were taken.
        index: u64,
        /// The hash here.
        ours: [u8; 32],
        /// The proposer's.
        theirs: [u8; 32],
    },
    /// The entry was applied before; the caller lost its place in the log.
    #[error("entry {index} comes after entry {applied}, which is applied already")]
    OutOfOrder {
        /// The entry.
        index: u64,
        /// The last one applied.
        applied: u64,
    },
}

impl State {
    /// An empty state, before the first entry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies an entry of the log. Indexes grow, with gaps where the log holds something else.
    ///
    /// # Errors
    ///
    /// [`Halt`] when this replica must not go on; nothing of the entry was applied then.
    pub fn apply(&mut self, index: u64, entry: &Entry) -> Result<Applied, Halt> {
        self.admit(index, entry)?;
        let at = self.at.max(entry.at);

        let mut pass = self.pass(index, at, &entry.groups, Savepoints::None);
        if pass.spoiled {
            pass = self.pass(index, at, &entry.groups, Savepoints::EveryGroup);
        }
        let Pass { txn, mut requests, results, .. } = pass;
        requests.forget(at);

        let passed = index / CHECK_EVERY != self.applied / CHECK_EVERY;
        (self.tables, self.requests) = (txn.tables, requests);
        (self.applied, self.at) = (index, at);
        if passed {
            self.keep_hash();
        }
        Ok(Applied { results, events: Arc::new(Batch { index, at, events: txn.events }) })
    }

    /// A view of the state as it is now, in O(1).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(View {
            tables: self.tables.clone(),
            requests: self.requests.clone(),
            applied: self.applied,
            at: self.at,
        })
    }

    /// The state hash after that entry, while it is kept: at each passage of [`CHECK_EVERY`]
    /// and at the snapshot the state was restored from.
    #[must_use]
    pub fn hash_at(&self, index: u64) -> Option<[u8; 32]> {
        self.checks.iter().rev().find(|check| check.index == index).map(|check| check.hash)
    }

    /// The newest kept hash, for the proposer to put into an entry. `None` before the first.
    #[must_use]
    pub fn newest_check(&self) -> Option<HashCheck> {
        self.checks.last().copied()
    }

    /// Stops before anything is applied that this replica would compute differently.
    fn admit(&self, index: u64, entry: &Entry) -> Result<(), Halt> {
        if index <= self.applied {
            return Err(Halt::OutOfOrder { index, applied: self.applied });
        }
        if entry.level == 0 || entry.level > LEVEL {
            return Err(Halt::UnknownLevel { index, level: entry.level, known: LEVEL });
        }
        let Some(HashCheck { index, hash: theirs }) = entry.check else { return Ok(()) };
        match self.hash_at(index) {
            Some(ours) if ours != theirs => Err(Halt::HashMismatch { index, ours, theirs }),
            _ => Ok(()),
        }
    }

    pub(crate) fn keep_hash(&mut self) {
        if self.checks.len() == CHECKS {
            self.checks.remove(0);
        }
        let hash = state_hash(&self.tables, &self.requests, self.at);
        self.checks.push(HashCheck { index: self.applied, hash });
    }

    /// Applies the groups of an entry to a copy of the state.
    fn pass(
        &self,
        index: u64,
        at: Timestamp,
        groups: &[Arc<Group>],
        savepoints: Savepoints,
    ) -> Pass {
        let mut pass = Pass {
            txn: Txn::new(self.tables.clone(), index, at),
            requests: self.requests.clone(),
            results: Vec::with_capacity(groups.len()),
            spoiled: false,
        };
        for group in groups {
            pass.group(group, savepoints, apply::group);
            if pass.spoiled {
                break;
            }
        }
        pass
    }
}

/// Before which groups the tables are kept, to return to when the group is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Savepoints {
    /// None: a kept copy makes every write after it copy what it touches.
    None,
    /// All of them.
    EveryGroup,
}

/// An entry being applied.
struct Pass {
    txn: Txn,
    requests: Requests,
    results: Vec<Result<Accepted, Refusal>>,
    spoiled: bool,
}

impl Pass {
    /// Applies one group with `act`, whole or not at all, unless it was applied before.
    fn group(
        &mut self,
        group: &Group,
        savepoints: Savepoints,
        act: impl FnOnce(&mut Txn, &Group) -> Result<(), Refusal>,
    ) {
        if let Some(first) = self.requests.get(&group.request) {
            let outcome = first.outcome.clone();
            self.results.push(outcome.map(|version| Accepted { version, replayed: true }));
            return;
        }

        let careful = savepoints == Savepoints::EveryGroup;
        let savepoint = careful.then(|| self.txn.tables.clone());
        let written = self.txn.events.len();

        let guarded = catch_unwind(AssertUnwindSafe(|| {
            act(&mut self.txn, group)?;
            let Txn { tables, events, .. } = &mut self.txn;
            tables.account(events.get(written..).unwrap_or_default());
            Ok(())
        }));
        let panicked = guarded.is_err();
        let outcome = guarded.unwrap_or_else(|panic| Err(apply::panicked(&*panic)));

        if outcome.is_err() && (panicked || self.txn.events.len() > written) {
            let Some(tables) = savepoint else {
                self.spoiled = true;
                return;
            };
            self.txn.go_back(tables, written);
        }
        let outcome = outcome.map(|()| self.txn.index);
        self.requests.remember(group.request, self.txn.at, outcome.clone());
        self.results.push(outcome.map(|version| Accepted { version, replayed: false }));
    }
}

#[cfg(test)]
mod tests {
    use swarm_types::{Change, Extension, Meta, RequestId, ResourceId};

    use super::*;

    fn group(name: &str, id: ResourceId) -> Group {
        let annotations =
            swarm_types::spec::Annotations { name: name.to_owned(), ..Default::default() };
        let (meta, description) = (Meta::default(), String::new());
        let extension = Extension { id, meta, annotations, description };
        let changes = vec![Change::CreateExtension(Box::new(extension))];
        Group { request: RequestId::MIN, expect: Vec::new(), changes }
    }

    /// Writes, then panics.
    fn half(txn: &mut Txn, group: &Group) -> Result<(), Refusal> {
        apply::group(txn, group)?;
        panic!("half way")
    }

    #[test]
    fn a_panic_refuses_the_group_and_leaves_no_trace() {
        let state = State::new();
        let group = group("kind", ResourceId::MIN);

        let mut fast = state.pass(1, Timestamp(1), &[], Savepoints::None);
        fast.group(&group, Savepoints::None, half);
        assert!(fast.spoiled && fast.results.is_empty());

        let mut careful = state.pass(1, Timestamp(1), &[], Savepoints::EveryGroup);
        careful.group(&group, Savepoints::EveryGroup, half);
        assert!(!careful.spoiled);
        assert_eq!(careful.results, [Err(Refusal::Panicked("half way".to_owned()))]);
        assert_eq!(careful.txn.tables.sum, state.tables.sum);
        assert!(careful.txn.events.is_empty() && careful.txn.tables.claims.len() == 0);
    }
}
