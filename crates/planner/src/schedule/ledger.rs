//! What is in use on each node.
//!
//! A task counts from the moment it is assigned until it is known to have ended, whatever is
//! wanted of it: one that is being stopped still holds its reservations and ports.
//!
//! The ledger can always be made from a snapshot. Keeping one up from the events only saves the
//! pass over all tasks; it is thrown away when it does not stand at the snapshot's index.

use std::collections::BTreeMap;
use std::sync::Arc;

use swarm_state::{Batch, Event, Snapshot};
use swarm_types::spec::service::{Protocol, PublishMode};
use swarm_types::{NodeId, Object, ServiceId, Task, TaskState, Template};

/// What is in use on each node, after one entry of the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ledger {
    applied: u64,
    nodes: BTreeMap<NodeId, Account>,
}

/// What is in use on one node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Account {
    /// Billionths of a CPU that are reserved.
    pub(super) nano_cpus: i64,
    /// Bytes that are reserved.
    pub(super) memory_bytes: i64,
    /// Tasks that are wanted.
    pub(super) wanted: u64,
    tasks: u64,
    services: BTreeMap<ServiceId, u64>,
    ports: BTreeMap<(Protocol, u16), u64>,
}

static UNUSED: Account = Account {
    nano_cpus: 0,
    memory_bytes: 0,
    wanted: 0,
    tasks: 0,
    services: BTreeMap::new(),
    ports: BTreeMap::new(),
};

impl Ledger {
    /// Counts every task of the snapshot.
    pub(crate) fn of(view: &Snapshot) -> Self {
        let mut ledger = Self { applied: view.applied(), nodes: BTreeMap::new() };
        for task in view.tasks() {
            ledger.enter(task);
        }
        ledger
    }

    /// Index of the entry the ledger stands at.
    pub(crate) fn applied(&self) -> u64 {
        self.applied
    }

    /// Follows one entry. Those that are counted already are ignored.
    pub(crate) fn note(&mut self, batch: &Batch) {
        if batch.index <= self.applied {
            return;
        }
        self.applied = batch.index;
        for event in &batch.events {
            match event {
                Event::Created(Object::Task(task)) => self.enter(task),
                Event::Updated { old: Object::Task(old), new: Object::Task(new) } => {
                    self.strike(old);
                    self.enter(new);
                }
                Event::Removed(Object::Task(task)) => self.strike(task),
                _ => {}
            }
        }
    }

    /// What is in use on a node.
    pub(super) fn account(&self, node: NodeId) -> &Account {
        self.nodes.get(&node).unwrap_or(&UNUSED)
    }

    /// Counts a task on a node.
    pub(super) fn charge(&mut self, node: NodeId, task: &Template, wanted: bool) {
        let account = self.nodes.entry(node).or_default();
        account.change(task, 1);
        if wanted {
            account.wanted += 1;
            if let Some(service) = task.service {
                *account.services.entry(service).or_insert(0) += 1;
            }
        }
        account.tasks += 1;
        for port in host_ports(task) {
            *account.ports.entry(port).or_insert(0) += 1;
        }
    }

    /// Takes back [`Self::charge`].
    pub(super) fn refund(&mut self, node: NodeId, task: &Template, wanted: bool) {
        let Some(account) = self.nodes.get_mut(&node) else { return };
        account.change(task, -1);
        if wanted {
            account.wanted = account.wanted.saturating_sub(1);
            if let Some(service) = task.service {
                decrease(&mut account.services, service);
            }
        }
        account.tasks = account.tasks.saturating_sub(1);
        for port in host_ports(task) {
            decrease(&mut account.ports, port);
        }
        if account.tasks == 0 {
            self.nodes.remove(&node);
        }
    }

    fn enter(&mut self, task: &Arc<Task>) {
        if let Some(node) = counted_on(task) {
            self.charge(node, &task.template, task.desired <= TaskState::Complete);
        }
    }

    fn strike(&mut self, task: &Arc<Task>) {
        if let Some(node) = counted_on(task) {
            self.refund(node, &task.template, task.desired <= TaskState::Complete);
        }
    }
}

impl Account {
    /// Wanted tasks of a service on the node.
    pub(super) fn of_service(&self, service: Option<ServiceId>) -> u64 {
        service.and_then(|service| self.services.get(&service)).copied().unwrap_or(0)
    }

    /// True when no task publishes that port on the node.
    pub(super) fn is_free(&self, port: (Protocol, u16)) -> bool {
        !self.ports.contains_key(&port)
    }

    fn change(&mut self, task: &Template, sign: i64) {
        let reserved = &task.spec.resources.reservations;
        self.nano_cpus = self.nano_cpus.saturating_add(sign * reserved.nano_cpus);
        self.memory_bytes = self.memory_bytes.saturating_add(sign * reserved.memory_bytes);
    }
}

/// The fixed ports a task publishes on its node.
pub(super) fn host_ports(task: &Template) -> impl Iterator<Item = (Protocol, u16)> {
    let host = |port: &&swarm_types::spec::service::PortConfig| {
        port.mode == PublishMode::Host && port.published != 0
    };
    task.endpoint.ports.iter().filter(host).map(|port| (port.protocol, port.published))
}

fn counted_on(task: &Task) -> Option<NodeId> {
    task.node.filter(|_| task.may_run())
}

fn decrease<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
