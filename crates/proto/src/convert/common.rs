//! What every kind of object has, and the opaque kinds.

use swarm_types::spec::{Annotations, Driver};
use swarm_types::{Extension, Meta, Resource, Sensitive};

use crate::codec::mirror;
use crate::{DecodeError, v1};

mirror!(Annotations { name: same, labels: same });
mirror!(Driver { name: same, options: same });
mirror!(Meta { version: same, spec_version: same, decided_version: same }
    as { created_at_ns = created_at: time, updated_at_ns = updated_at: time });
mirror!(Extension { id: id, meta: need, annotations: need, description: same });
mirror!(Resource { id: id, meta: need, annotations: need, kind: same, payload: same });

impl From<&Sensitive> for v1::Sensitive {
    fn from(it: &Sensitive) -> Self {
        Self { value: it.expose().to_vec() }
    }
}

impl TryFrom<v1::Sensitive> for Sensitive {
    type Error = DecodeError;
    fn try_from(mut it: v1::Sensitive) -> Result<Self, DecodeError> {
        Ok(Self::new(std::mem::take(&mut it.value)))
    }
}
