//! Builds a state from the records of a snapshot, and trusts none of them: what two objects
//! cannot both hold, what refers to nothing and what does not add up to the stored hash is
//! refused.

use std::sync::Arc;

use swarm_types::{
    Object, ObjectId, Record, Refusal, RememberedRequest, RequestId, SnapshotHeader, Task, TaskId,
    Template, Timestamp,
};

use crate::apply::exists;
use crate::event::Event;
use crate::index::Tables;
use crate::kind::Stored;
use crate::snapshot::state_hash;
use crate::state::State;

/// Why records are not a state. Nothing was changed; take another snapshot.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The first record is not a header.
    #[error("the snapshot does not begin with a header")]
    NoHeader,
    /// A second header: two snapshots were glued together.
    #[error("the snapshot has a second header")]
    SecondHeader,
    /// An object came twice.
    #[error("{0} is in the snapshot twice")]
    ObjectTwice(ObjectId),
    /// A request came twice.
    #[error("request {0} is in the snapshot twice")]
    RequestTwice(RequestId),
    /// A request is older than the one before it: the order of applying them is lost.
    #[error("request {0} is in the snapshot out of order")]
    RequestOutOfOrder(RequestId),
    /// An object cannot stand beside those before it.
    #[error("{object} contradicts another object: {why}")]
    Contradiction {
        /// The object.
        object: ObjectId,
        /// The rule it breaks.
        why: Refusal,
    },
    /// An object refers to one that is not in the snapshot.
    #[error("{user} refers to {object}, which is not in the snapshot")]
    Dangling {
        /// What is missing.
        object: ObjectId,
        /// What refers to it.
        user: ObjectId,
    },
    /// Two tasks of one service and spec version differ in their template.
    #[error("task {0} differs from others of the same service and spec version")]
    TwoTemplates(TaskId),
    /// The records do not add up to the hash in the header.
    #[error("the snapshot's content does not match its hash")]
    HashMismatch {
        /// The hash in the header.
        stored: [u8; 32],
        /// The hash of the records.
        found: [u8; 32],
    },
}

impl State {
    /// Rebuilds the state a snapshot was taken of, with its indexes, request memory and clock.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] when the records are not a whole and consistent state.
    pub fn restore(records: impl Iterator<Item = Record>) -> Result<Self, RestoreError> {
        let mut records = records;
        let Some(Record::Header(header)) = records.next() else {
            return Err(RestoreError::NoHeader);
        };
        let mut state = Self { applied: header.applied, at: header.at, ..Self::default() };
        let mut newest = Timestamp::default();
        for record in records {
            match record {
                Record::Header(_) => return Err(RestoreError::SecondHeader),
                Record::Object(object) => load(&mut state.tables, object)?,
                Record::Request(request) => {
                    if request.at < newest || header.at < request.at {
                        return Err(RestoreError::RequestOutOfOrder(request.request));
                    }
                    newest = request.at;
                    state.load_request(request)?;
                }
            }
        }
        state.verify(&header)?;
        state.keep_hash();
        Ok(state)
    }

    fn load_request(&mut self, request: RememberedRequest) -> Result<(), RestoreError> {
        if self.requests.get(&request.request).is_some() {
            return Err(RestoreError::RequestTwice(request.request));
        }
        self.requests.insert(request);
        Ok(())
    }

    fn verify(&self, header: &SnapshotHeader) -> Result<(), RestoreError> {
        let missing = self.tables.links.into_iter().find(|(it, _)| !exists(&self.tables, it));
        if let Some((&object, &user)) = missing.map(|(object, user)| (object, user)) {
            return Err(RestoreError::Dangling { object, user });
        }
        let found = state_hash(&self.tables, &self.requests, self.at);
        if found == header.hash {
            Ok(())
        } else {
            Err(RestoreError::HashMismatch { stored: header.hash, found })
        }
    }
}

fn load(tables: &mut Tables, object: Object) -> Result<(), RestoreError> {
    match object {
        Object::Cluster(it) => match &tables.cluster {
            Some(other) => Err(RestoreError::ObjectTwice(ObjectId::Cluster(other.id))),
            None => enter(tables, &it),
        },
        Object::Node(it) => enter(tables, &it),
        Object::Service(it) => enter(tables, &it),
        Object::Task(it) => enter(tables, &intern(tables, it)?),
        Object::Network(it) => enter(tables, &it),
        Object::Secret(it) => enter(tables, &it),
        Object::Config(it) => enter(tables, &it),
        Object::Volume(it) => enter(tables, &it),
        Object::Extension(it) => enter(tables, &it),
        Object::Resource(it) => enter(tables, &it),
    }
}

fn enter<T: Stored>(tables: &mut Tables, object: &Arc<T>) -> Result<(), RestoreError> {
    let id = object.id();
    if T::find(tables, id).is_some() {
        return Err(RestoreError::ObjectTwice(T::object_id(id)));
    }
    let refuse = |why| RestoreError::Contradiction { object: T::object_id(id), why };
    tables.set(id, Some(object)).map_err(refuse)?;
    tables.account(&[Event::Created(T::object(Arc::clone(object)))]);
    Ok(())
}

/// Makes the task use the template others of its service and spec version have.
fn intern(tables: &Tables, task: Arc<Task>) -> Result<Arc<Task>, RestoreError> {
    let shared = task.service().and_then(|service| {
        tables.templates.get(&(service, task.spec_version())).map(|it| &it.template)
    });
    let same = |other: &Arc<Template>| Arc::ptr_eq(other, &task.template);
    match shared {
        None => Ok(task),
        Some(template) if same(template) => Ok(task),
        Some(template) if *template == task.template => {
            Ok(Arc::new(Task { template: Arc::clone(template), ..(*task).clone() }))
        }
        Some(_) => Err(RestoreError::TwoTemplates(task.id)),
    }
}
