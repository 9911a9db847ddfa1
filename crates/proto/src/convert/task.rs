//! Tasks.
//!
//! A task on its own carries its template. Where tasks travel in numbers they name it by
//! position instead; [`crate::shared`] keeps the positions.

use std::sync::Arc;

use swarm_types::object::task::{ContainerStatus, NetworkAttachment, VolumeAttachment};
use swarm_types::{Task, TaskState, TaskStatus, Template};

use crate::codec::{id, list, maybe_id, mirror, need, same, time, word, words};
use crate::error::Why;
use crate::v1::task::Template as WireTemplate;
use crate::{DecodeError, v1};

words! {
    TaskState {
        New, Pending, Assigned, Accepted, Preparing, Ready, Starting, Running, Complete,
        Shutdown, Failed, Rejected, Remove, Orphaned
    }
}

mirror!(Template {
    service: maybe_id,
    spec_version: same,
    service_annotations: need,
    endpoint: need,
    global: same,
    spec: need,
});
mirror!(TaskStatus { state: word, message: same, err: same, container: maybe, ports: list }
    as { at_ns = at: time, applied_at_ns = applied_at: time });
mirror!(ContainerStatus { id: same, pid: same, exit_code: same });
mirror!(NetworkAttachment { network: id, addresses: addrs, aliases: same });
mirror!(VolumeAttachment { volume: id, source: same, target: same });

/// With a template of its own.
impl From<&Task> for v1::Task {
    fn from(it: &Task) -> Self {
        let template = v1::Template::from(it.template.as_ref());
        with_template(it, WireTemplate::Own(Box::new(template)))
    }
}

impl TryFrom<v1::Task> for Task {
    type Error = DecodeError;
    fn try_from(it: v1::Task) -> Result<Self, DecodeError> {
        resolve(it, |_| None)
    }
}

pub(crate) fn with_template(it: &Task, template: WireTemplate) -> v1::Task {
    v1::Task {
        id: id::enc(&it.id),
        meta: need::enc(&it.meta),
        template: Some(template),
        slot: it.slot,
        node: maybe_id::enc(&it.node),
        desired: word::enc(&it.desired),
        desired_reason: it.desired_reason.clone(),
        status: need::enc(&it.status),
        replaces: maybe_id::enc(&it.replaces),
        start_after_ns: time::enc(&it.start_after),
        ran_at_ns: time::enc(&it.ran_at),
        networks: list::enc(&it.networks),
        generic: list::enc(&it.generic),
        job_iteration: same::enc(&it.job_iteration),
        volumes: list::enc(&it.volumes),
    }
}

/// Reads a task; `at` knows the templates around it by position.
pub(crate) fn resolve(
    it: v1::Task,
    at: impl FnOnce(u32) -> Option<Arc<Template>>,
) -> Result<Task, DecodeError> {
    let template = match it.template.ok_or_else(|| DecodeError::missing("template"))? {
        WireTemplate::Own(template) => Arc::new(need::dec(Some(*template), "own")?),
        WireTemplate::Shared(position) => at(position)
            .ok_or_else(|| DecodeError::new("shared", Why::Not("the position of a template")))?,
    };
    Ok(Task {
        id: id::dec(it.id, "id")?,
        meta: need::dec(it.meta, "meta")?,
        template,
        slot: it.slot,
        node: maybe_id::dec(it.node, "node")?,
        desired: word::dec(it.desired, "desired")?,
        desired_reason: it.desired_reason,
        status: need::dec(it.status, "status")?,
        replaces: maybe_id::dec(it.replaces, "replaces")?,
        start_after: time::dec(it.start_after_ns, "start_after_ns")?,
        ran_at: time::dec(it.ran_at_ns, "ran_at_ns")?,
        networks: list::dec(it.networks, "networks")?,
        generic: list::dec(it.generic, "generic")?,
        job_iteration: it.job_iteration,
        volumes: list::dec(it.volumes, "volumes")?,
    })
}
