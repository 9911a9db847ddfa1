//! Changes, from one table.

use swarm_types::{AssignTask, Change, CreateTask, NewTemplate, ObserveTask, OpenSession};

use crate::codec::{id, mirror, need};
use crate::v1::change::Change as Wire;
use crate::v1::create_task::{FromService, Template};
use crate::{DecodeError, v1};

/// Implements both conversions of [`Change`].
///
/// `whole` cases carry one message, `ids` only an id, `parts` several fields by position and
/// `named` several by name (as `wire_name = name: form`), both with the message's name.
macro_rules! changes {
    (
        whole { $($whole:ident $whole_name:literal,)* }
        ids { $($id:ident $id_name:literal,)* }
        parts { $($parts:ident $message:ident $parts_name:literal {
            $($part:ident: $part_form:ident),*
        })* }
        named { $($named:ident $named_name:literal {
            $($wire:ident = $field:ident: $form:ident),*
        })* }
    ) => {
        impl From<&Change> for v1::Change {
            fn from(it: &Change) -> Self {
                use crate::codec;
                let change = match it {
                    $(Change::$whole(it) => Wire::$whole(Box::new(it.as_ref().into())),)*
                    $(Change::$id(it) => Wire::$id(codec::id::enc(it)),)*
                    $(Change::$parts($($part),*) => Wire::$parts(v1::$message {
                        $($part: codec::$part_form::enc($part)),*
                    }),)*
                    $(Change::$named { $($field),* } => Wire::$named(v1::$named {
                        $($wire: codec::$form::enc($field)),*
                    }),)*
                };
                Self { change: Some(change) }
            }
        }

        impl TryFrom<v1::Change> for Change {
            type Error = DecodeError;
            fn try_from(it: v1::Change) -> Result<Self, DecodeError> {
                use crate::codec;
                match it.change.ok_or_else(|| DecodeError::missing("change"))? {
                    $(Wire::$whole(it) => inside($whole_name, || {
                        Ok(Self::$whole(Box::new((*it).try_into()?)))
                    }),)*
                    $(Wire::$id(it) => Ok(Self::$id(codec::id::dec(it, $id_name)?)),)*
                    $(Wire::$parts(it) => inside($parts_name, || Ok(Self::$parts(
                        $(codec::$part_form::dec(it.$part, stringify!($part))?),*
                    ))),)*
                    $(Wire::$named(it) => inside($named_name, || Ok(Self::$named {
                        $($field: codec::$form::dec(it.$wire, stringify!($wire))?),*
                    })),)*
                }
            }
        }
    };
}

fn inside(
    name: &str,
    read: impl FnOnce() -> Result<Change, DecodeError>,
) -> Result<Change, DecodeError> {
    read().map_err(|error| error.within(name))
}

changes! {
    whole {
        CreateTask "create_task",
        AssignTask "assign_task",
        ObserveTask "observe_task",
        OpenSession "open_session",
        CreateCluster "create_cluster",
        UpdateCluster "update_cluster",
        SetCluster "set_cluster",
        CreateNode "create_node",
        CreateService "create_service",
        CreateNetwork "create_network",
        CreateSecret "create_secret",
        CreateConfig "create_config",
        CreateVolume "create_volume",
        SetVolume "set_volume",
        CreateExtension "create_extension",
        CreateResource "create_resource",
        SetResource "set_resource",
    }
    ids {
        RemoveTask "remove_task",
        RemoveService "remove_service",
        RemoveNetwork "remove_network",
        RemoveSecret "remove_secret",
        RemoveConfig "remove_config",
        RemoveVolume "remove_volume",
        RemoveExtension "remove_extension",
        RemoveResource "remove_resource",
    }
    parts {
        SetTaskPending SetTaskPending "set_task_pending" { task: id, networks: list }
        ExplainTask ExplainTask "explain_task" { task: id, message: same }
        SetUpdateStatus SetUpdateStatus "set_update_status" { service: id, status: boxed }
        SetEndpoint SetEndpoint "set_endpoint" { service: id, endpoint: boxed }
        UpdateNode UpdateNode "update_node" { node: id, spec: need }
        SetNodeRole SetNodeRole "set_node_role" { node: id, role: word }
        SetNodeKey SetNodeKey "set_node_key" { node: id, fingerprint: same }
        UpdateService UpdateService "update_service" { service: id, spec: boxed }
        RollbackService RollbackService "rollback_service" { service: id, status: boxed }
        UpdateSecret UpdateSecret "update_secret" { secret: id, spec: boxed }
        UpdateConfig UpdateConfigObject "update_config" { config: id, spec: boxed }
    }
    named {
        SetDesired "set_desired" { task = task: id, desired = desired: word, reason = reason: same }
        EndTask "end_task" { task = task: id, state = state: word, message = message: same }
        NodeDown "node_down" { node = node: id, session = session: maybe_id, message = message: same }
        RemoveNode "remove_node" { node = node: id, refuse_until_ns = refuse_until: time }
        SetNetwork "set_network" { network = network: id, ipam = ipam: list, vnis = vnis: same }
    }
}

mirror!(CreateTask {
    id: id,
    template: need,
    slot: same,
    node: maybe_id,
    desired: word,
    replaces: maybe_id,
    job_iteration: same,
} as { start_after_ns = start_after: time });
mirror!(AssignTask { task: id, node: id, generic: list, volumes: list, message: same });
mirror!(ObserveTask { task: id, node: id, session: id, status: need });
mirror!(OpenSession {
    node: id,
    session: id,
    manager: id,
    boot_id: same,
    description: boxed,
    addr: same,
});

impl From<&NewTemplate> for Template {
    fn from(it: &NewTemplate) -> Self {
        match it {
            NewTemplate::Service { service, spec_version } => Self::Service(FromService {
                service: id::enc(service),
                spec_version: *spec_version,
            }),
            NewTemplate::Attachment(spec) => Self::Attachment(Box::new(spec.as_ref().into())),
        }
    }
}

impl TryFrom<Template> for NewTemplate {
    type Error = DecodeError;
    fn try_from(it: Template) -> Result<Self, DecodeError> {
        Ok(match it {
            Template::Service(it) => Self::Service {
                service: id::dec(it.service, "service")?,
                spec_version: it.spec_version,
            },
            Template::Attachment(spec) => {
                Self::Attachment(Box::new(need::dec(Some(*spec), "attachment")?))
            }
        })
    }
}
