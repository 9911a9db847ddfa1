//! The template of a task.

use swarm_types::ContainerRef;
use swarm_types::spec::task::{
    GenericResource, Limits, NetworkAttachmentConfig, NetworkTarget, Placement,
    PlacementPreference, Platform, Reservations, ResourceReference, Resources, RestartCondition,
    RestartPolicy, TaskRuntime, TaskSpec,
};

use crate::codec::{id, mirror, words};
use crate::v1::{
    generic_resource, network_target, placement_preference, resource_reference, task_runtime,
};
use crate::{DecodeError, v1};

words! {
    RestartCondition { None, OnFailure, Any }
}

mirror!(TaskSpec {
    runtime: need,
    resources: need,
    restart: need,
    placement: need,
    networks: list,
    log_driver: maybe,
    force_update: same,
    references: list,
});
mirror!(ContainerRef { id: same });
mirror!(Resources { limits: need, reservations: need, swap_bytes: same, memory_swappiness: same });
mirror!(Limits { nano_cpus: same, memory_bytes: same, pids: same });
mirror!(Reservations { nano_cpus: same, memory_bytes: same, generic: list });
mirror!(RestartPolicy { condition: word, max_attempts: same }
    as { delay_ns = delay: span, window_ns = window: span });
mirror!(Placement { constraints: same, preferences: list, max_replicas: same, platforms: list });
mirror!(Platform { architecture: same, os: same });
mirror!(NetworkAttachmentConfig {
    target: need,
    aliases: same,
    addresses: same,
    driver_options: same,
});

impl From<&TaskRuntime> for v1::TaskRuntime {
    fn from(it: &TaskRuntime) -> Self {
        use task_runtime::{Generic, Runtime};
        let runtime = match it {
            TaskRuntime::Container(it) => Runtime::Container(Box::new(it.as_ref().into())),
            TaskRuntime::Attachment(it) => Runtime::Attachment(it.into()),
            TaskRuntime::Generic { kind, payload } => {
                Runtime::Generic(Generic { kind: kind.clone(), payload: payload.clone() })
            }
        };
        Self { runtime: Some(runtime) }
    }
}

impl TryFrom<v1::TaskRuntime> for TaskRuntime {
    type Error = DecodeError;
    fn try_from(it: v1::TaskRuntime) -> Result<Self, DecodeError> {
        use task_runtime::Runtime;
        Ok(match it.runtime.ok_or_else(|| DecodeError::missing("runtime"))? {
            Runtime::Container(it) => {
                let container = (*it).try_into();
                let container = container.map_err(|error: DecodeError| error.within("container"));
                Self::Container(Box::new(container?))
            }
            Runtime::Attachment(it) => Self::Attachment(it.try_into()?),
            Runtime::Generic(it) => Self::Generic { kind: it.kind, payload: it.payload },
        })
    }
}

impl From<&ResourceReference> for v1::ResourceReference {
    fn from(it: &ResourceReference) -> Self {
        use resource_reference::Reference;
        let reference = match it {
            ResourceReference::Secret(it) => Reference::Secret(id::enc(it)),
            ResourceReference::Config(it) => Reference::Config(id::enc(it)),
        };
        Self { reference: Some(reference) }
    }
}

impl TryFrom<v1::ResourceReference> for ResourceReference {
    type Error = DecodeError;
    fn try_from(it: v1::ResourceReference) -> Result<Self, DecodeError> {
        use resource_reference::Reference;
        Ok(match it.reference.ok_or_else(|| DecodeError::missing("reference"))? {
            Reference::Secret(it) => Self::Secret(id::dec(it, "secret")?),
            Reference::Config(it) => Self::Config(id::dec(it, "config")?),
        })
    }
}

impl From<&GenericResource> for v1::GenericResource {
    fn from(it: &GenericResource) -> Self {
        use generic_resource::{Discrete, Named, Resource};
        let resource = match it {
            GenericResource::Named { kind, value } => {
                Resource::Named(Named { kind: kind.clone(), value: value.clone() })
            }
            GenericResource::Discrete { kind, value } => {
                Resource::Discrete(Discrete { kind: kind.clone(), value: *value })
            }
        };
        Self { resource: Some(resource) }
    }
}

impl TryFrom<v1::GenericResource> for GenericResource {
    type Error = DecodeError;
    fn try_from(it: v1::GenericResource) -> Result<Self, DecodeError> {
        use generic_resource::Resource;
        Ok(match it.resource.ok_or_else(|| DecodeError::missing("resource"))? {
            Resource::Named(it) => Self::Named { kind: it.kind, value: it.value },
            Resource::Discrete(it) => Self::Discrete { kind: it.kind, value: it.value },
        })
    }
}

impl From<&PlacementPreference> for v1::PlacementPreference {
    fn from(it: &PlacementPreference) -> Self {
        use placement_preference::{Preference, Spread};
        let PlacementPreference::Spread { descriptor } = it;
        Self { preference: Some(Preference::Spread(Spread { descriptor: descriptor.clone() })) }
    }
}

impl TryFrom<v1::PlacementPreference> for PlacementPreference {
    type Error = DecodeError;
    fn try_from(it: v1::PlacementPreference) -> Result<Self, DecodeError> {
        use placement_preference::Preference;
        Ok(match it.preference.ok_or_else(|| DecodeError::missing("preference"))? {
            Preference::Spread(it) => Self::Spread { descriptor: it.descriptor },
        })
    }
}

impl From<&NetworkTarget> for v1::NetworkTarget {
    fn from(it: &NetworkTarget) -> Self {
        use network_target::{Host, None, Target};
        let target = match it {
            NetworkTarget::Host => Target::Host(Host {}),
            NetworkTarget::None => Target::None(None {}),
            NetworkTarget::Network(it) => Target::Network(id::enc(it)),
        };
        Self { target: Some(target) }
    }
}

impl TryFrom<v1::NetworkTarget> for NetworkTarget {
    type Error = DecodeError;
    fn try_from(it: v1::NetworkTarget) -> Result<Self, DecodeError> {
        use network_target::Target;
        Ok(match it.target.ok_or_else(|| DecodeError::missing("target"))? {
            Target::Host(_) => Self::Host,
            Target::None(_) => Self::None,
            Target::Network(it) => Self::Network(id::dec(it, "network")?),
        })
    }
}
