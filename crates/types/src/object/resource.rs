//! Opaque objects of users: stored and watched, never acted on.

use super::Meta;
use crate::ResourceId;
use crate::spec::Annotations;

/// Names a kind of [`Resource`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extension {
    /// Its id.
    pub id: ResourceId,
    /// Versions and times.
    pub meta: Meta,
    /// Name (the kind) and labels.
    pub annotations: Annotations,
    /// For people.
    pub description: String,
}

/// An opaque object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// Versions and times.
    pub meta: Meta,
    /// Name and labels.
    pub annotations: Annotations,
    /// Name of its extension.
    pub kind: String,
    /// The contents.
    pub payload: Vec<u8>,
}
