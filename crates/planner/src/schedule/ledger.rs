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
use swarm_types::spec::service::{PortConfig, Protocol, PublishMode};
use swarm_types::spec::task::GenericResource;
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
    ports: BTreeMap<Port, u64>,
    /// By kind and name; the name is empty where units have none.
    generic: BTreeMap<(String, String), i64>,
}

/// A port of a node.
pub(super) type Port = (Protocol, u16);

pub(super) static UNUSED: Account = Account {
    nano_cpus: 0,
    memory_bytes: 0,
    wanted: 0,
    tasks: 0,
    services: BTreeMap::new(),
    ports: BTreeMap::new(),
    generic: BTreeMap::new(),
};

/// What one task uses of its node.
#[derive(Clone, Copy)]
pub(super) struct Use<'t> {
    /// What it runs.
    pub(super) template: &'t Template,
    /// The user-defined resources it was given.
    pub(super) generic: &'t [GenericResource],
    /// Ports its node chose for it.
    pub(super) bound: &'t [PortConfig],
    /// Whether it is wanted.
    pub(super) wanted: bool,
}

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

    /// The same, to be charged.
    pub(super) fn account_mut(&mut self, node: NodeId) -> &mut Account {
        self.nodes.entry(node).or_default()
    }

    /// Every node on which something is in use, in order of their ids.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (&NodeId, &Account)> {
        self.nodes.iter()
    }

    /// Takes back [`Account::charge`].
    pub(super) fn refund(&mut self, node: NodeId, task: Use<'_>) {
        let Some(account) = self.nodes.get_mut(&node) else { return };
        account.change(task, -1);
        if account.tasks == 0 {
            self.nodes.remove(&node);
        }
    }

    fn enter(&mut self, task: &Arc<Task>) {
        if let Some(node) = counted_on(task) {
            self.account_mut(node).charge(used(task));
        }
    }

    /// Takes a task of the snapshot off the ledger.
    pub(super) fn strike(&mut self, task: &Task) {
        if let Some(node) = counted_on(task) {
            self.refund(node, used(task));
        }
    }
}

impl Account {
    /// Wanted tasks of a service on the node.
    pub(super) fn of_service(&self, service: Option<ServiceId>) -> u64 {
        service.and_then(|service| self.services.get(&service)).copied().unwrap_or(0)
    }

    /// True when no task has that port of the node.
    pub(super) fn is_free(&self, port: Port) -> bool {
        !self.ports.contains_key(&port)
    }

    /// How many units of a kind and name are in use; the name is empty for units without one.
    pub(super) fn units(&self, kind: &str, name: &str) -> i64 {
        if self.generic.is_empty() {
            return 0;
        }
        self.generic.get(&(kind.to_owned(), name.to_owned())).copied().unwrap_or(0)
    }

    /// Counts a task.
    pub(super) fn charge(&mut self, task: Use<'_>) {
        self.change(task, 1);
    }

    fn change(&mut self, task: Use<'_>, sign: i64) {
        let reserved = &task.template.spec.resources.reservations;
        self.nano_cpus = self.nano_cpus.saturating_add(sign * reserved.nano_cpus);
        self.memory_bytes = self.memory_bytes.saturating_add(sign * reserved.memory_bytes);
        self.tasks = self.tasks.saturating_add_signed(sign);
        if task.wanted {
            self.wanted = self.wanted.saturating_add_signed(sign);
            task.template.service.into_iter().for_each(|it| count(&mut self.services, it, sign));
        }
        for port in host_ports(&task.template.endpoint.ports) {
            count(&mut self.ports, port, sign);
        }
        for port in host_ports(task.bound) {
            count(&mut self.ports, port, sign);
        }
        self.give(task.generic, sign);
    }

    /// Counts user-defined resources as given, or with a sign of -1 as taken back.
    pub(super) fn give(&mut self, generic: &[GenericResource], sign: i64) {
        for resource in generic {
            let (kind, name, amount) = match resource {
                GenericResource::Named { kind, value } => (kind.clone(), value.clone(), 1),
                GenericResource::Discrete { kind, value } => (kind.clone(), String::new(), *value),
            };
            let key = (kind, name);
            let units = self.generic.entry(key.clone()).or_insert(0);
            *units = units.saturating_add(sign.saturating_mul(amount));
            if *units == 0 {
                self.generic.remove(&key);
            }
        }
    }
}

/// The ports of the host among these whose number is known.
pub(super) fn host_ports(ports: &[PortConfig]) -> impl Iterator<Item = Port> {
    let host = |port: &&PortConfig| port.mode == PublishMode::Host && port.published != 0;
    ports.iter().filter(host).map(|port| (port.protocol, port.published))
}

fn counted_on(task: &Task) -> Option<NodeId> {
    task.node.filter(|_| task.may_run())
}

fn used(task: &Task) -> Use<'_> {
    Use {
        template: &task.template,
        generic: &task.generic,
        bound: &task.status.ports,
        wanted: task.desired <= TaskState::Complete,
    }
}

fn count<K: Ord + Copy>(counts: &mut BTreeMap<K, u64>, key: K, sign: i64) {
    let count = counts.entry(key).or_insert(0);
    *count = count.saturating_add_signed(sign);
    if *count == 0 {
        counts.remove(&key);
    }
}
