//! What one entry changed, for watchers and for the planner's dirty sets.

use swarm_types::{Object, ObjectId, Timestamp};

/// Everything one entry changed, in the order it happened. An entry that changed nothing has
/// an empty batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Index of the entry.
    pub index: u64,
    /// The state's clock after the entry.
    pub at: Timestamp,
    /// The changes. Applied in order to the tables before, they give the tables after.
    pub events: Vec<Event>,
}

/// One changed object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// It came to be.
    Created(Object),
    /// It was written.
    Updated {
        /// Before.
        old: Object,
        /// After.
        new: Object,
    },
    /// It is gone.
    Removed(Object),
}

impl Event {
    /// The object it is about.
    #[must_use]
    pub fn object(&self) -> ObjectId {
        match self {
            Self::Created(object) | Self::Removed(object) => object.id(),
            Self::Updated { new, .. } => new.id(),
        }
    }

    /// The object before, `None` when it came to be.
    pub(crate) const fn before(&self) -> Option<&Object> {
        match self {
            Self::Created(_) => None,
            Self::Updated { old, .. } | Self::Removed(old) => Some(old),
        }
    }

    /// The object after, `None` when it is gone.
    pub(crate) const fn after(&self) -> Option<&Object> {
        match self {
            Self::Created(new) | Self::Updated { new, .. } => Some(new),
            Self::Removed(_) => None,
        }
    }
}
