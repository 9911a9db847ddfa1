//! Ids that say of which kind they are, and expectations.

use swarm_types::{Expect, Expected, ObjectId};

use crate::codec::{id, need};
use crate::v1::expect::{Absent, What};
use crate::v1::object_id::Object;
use crate::{DecodeError, v1};

impl From<&ObjectId> for v1::ObjectId {
    fn from(it: &ObjectId) -> Self {
        let object = match it {
            ObjectId::Cluster(it) => Object::Cluster(id::enc(it)),
            ObjectId::Node(it) => Object::Node(id::enc(it)),
            ObjectId::Service(it) => Object::Service(id::enc(it)),
            ObjectId::Task(it) => Object::Task(id::enc(it)),
            ObjectId::Network(it) => Object::Network(id::enc(it)),
            ObjectId::Secret(it) => Object::Secret(id::enc(it)),
            ObjectId::Config(it) => Object::Config(id::enc(it)),
            ObjectId::Volume(it) => Object::Volume(id::enc(it)),
            ObjectId::Extension(it) => Object::Extension(id::enc(it)),
            ObjectId::Resource(it) => Object::Resource(id::enc(it)),
        };
        Self { object: Some(object) }
    }
}

impl TryFrom<v1::ObjectId> for ObjectId {
    type Error = DecodeError;
    fn try_from(it: v1::ObjectId) -> Result<Self, DecodeError> {
        Ok(match it.object.ok_or_else(|| DecodeError::missing("object"))? {
            Object::Cluster(it) => Self::Cluster(id::dec(it, "cluster")?),
            Object::Node(it) => Self::Node(id::dec(it, "node")?),
            Object::Service(it) => Self::Service(id::dec(it, "service")?),
            Object::Task(it) => Self::Task(id::dec(it, "task")?),
            Object::Network(it) => Self::Network(id::dec(it, "network")?),
            Object::Secret(it) => Self::Secret(id::dec(it, "secret")?),
            Object::Config(it) => Self::Config(id::dec(it, "config")?),
            Object::Volume(it) => Self::Volume(id::dec(it, "volume")?),
            Object::Extension(it) => Self::Extension(id::dec(it, "extension")?),
            Object::Resource(it) => Self::Resource(id::dec(it, "resource")?),
        })
    }
}

impl From<&Expect> for v1::Expect {
    fn from(it: &Expect) -> Self {
        let what = match it.what {
            Expected::Absent => What::Absent(Absent {}),
            Expected::Version(version) => What::Version(version),
            Expected::SpecVersion(version) => What::SpecVersion(version),
            Expected::Decided(version) => What::Decided(version),
        };
        Self { object: need::enc(&it.object), what: Some(what) }
    }
}

impl TryFrom<v1::Expect> for Expect {
    type Error = DecodeError;
    fn try_from(it: v1::Expect) -> Result<Self, DecodeError> {
        let what = match it.what.ok_or_else(|| DecodeError::missing("what"))? {
            What::Absent(_) => Expected::Absent,
            What::Version(version) => Expected::Version(version),
            What::SpecVersion(version) => Expected::SpecVersion(version),
            What::Decided(version) => Expected::Decided(version),
        };
        Ok(Self { object: need::dec(it.object, "object")?, what })
    }
}
