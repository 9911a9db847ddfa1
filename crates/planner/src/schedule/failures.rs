//! Where tasks of a service have failed of late.
//!
//! Kept beside the ledger because the reaper forgets a slot's tasks sooner than five minutes
//! after they failed. A leader that begins knows only what the state still holds.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use swarm_types::{NodeId, ServiceId, Task, TaskId, TaskState, Timestamp};

/// Time in which failures of a service speak against a node.
const WINDOW: Duration = Duration::from_secs(300);
/// Failures from which on a node is avoided.
pub(super) const MANY: u32 = 5;
/// Failures remembered of a service on a node; more would not say more.
const KEPT: usize = 64;

/// A service at one version of its spec.
type Of = (ServiceId, u64);

/// Recent failures by service, spec version and node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures(BTreeMap<Of, BTreeMap<NodeId, VecDeque<(TaskId, Timestamp)>>>);

impl Failures {
    /// Remembers the task if it failed. Once is enough: the same task counts once. A task that
    /// had no choice of its node says nothing about it.
    pub(crate) fn note(&mut self, task: &Task) {
        let failed = matches!(task.status.state, TaskState::Failed | TaskState::Rejected);
        let (Some(service), Some(node)) = (task.service(), task.node) else { return };
        if !failed || task.template.global {
            return;
        }
        let at = task.status.applied_at;
        let of = (service, task.spec_version());
        if !self.0.contains_key(&of) {
            self.forget_before(service, at);
        }
        let failures = self.0.entry(of).or_default().entry(node).or_default();
        if !failures.iter().any(|(other, _)| *other == task.id) {
            failures.push_back((task.id, at));
        }
        if failures.len() > KEPT {
            failures.pop_front();
        }
    }

    /// Forgets the services that are gone.
    pub(crate) fn retain(&mut self, stays: impl Fn(&ServiceId) -> bool) {
        self.0.retain(|(service, _), _| stays(service));
    }

    /// Forgets what has no say any more in other versions of a service's spec.
    fn forget_before(&mut self, service: ServiceId, now: Timestamp) {
        self.0.retain(|(of, _), nodes| {
            let recent =
                |failures: &VecDeque<_>| failures.iter().any(|(_, at)| is_recent(*at, now));
            *of != service || nodes.values().any(recent)
        });
    }

    /// The nodes to avoid, with how many tasks failed there; those with few failures are left
    /// out.
    pub(super) fn many(&self, service: Option<ServiceId>, version: u64, now: Timestamp) -> Many {
        let nodes = service.and_then(|service| self.0.get(&(service, version)));
        let count = |failures: &VecDeque<(TaskId, Timestamp)>| {
            failures.iter().filter(|(_, at)| is_recent(*at, now)).count()
        };
        let counts = nodes.into_iter().flatten().map(|(node, failures)| (*node, count(failures)));
        let counts = counts.filter_map(|(node, count)| Some((node, u32::try_from(count).ok()?)));
        Many(counts.filter(|(_, count)| *count >= MANY).collect())
    }
}

/// Nodes to avoid.
pub(super) struct Many(BTreeMap<NodeId, u32>);

impl Many {
    /// How many tasks failed there; 0 when they are few.
    pub(super) fn on(&self, node: NodeId) -> u32 {
        if self.0.is_empty() { 0 } else { self.0.get(&node).copied().unwrap_or(0) }
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.since(at) < WINDOW
}
