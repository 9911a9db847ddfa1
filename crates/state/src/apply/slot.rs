//! New tasks: what they run, and the place they take.
//!
//! A slot is served by one chain of tasks, each naming the one before. Two planners that both
//! replace the same task therefore cannot both succeed.

use std::sync::Arc;

use swarm_types::spec::service::{ServiceMode, ServiceSpec};
use swarm_types::spec::task::{TaskRuntime, TaskSpec};
use swarm_types::{
    CreateTask, Meta, NewTemplate, Node, ObjectId, Refusal, Service, ServiceId, Task, TaskId,
    TaskState, TaskStatus, Template, Timestamp,
};

use super::{Txn, invalid};
use crate::kind::networks_of;

impl Txn {
    pub(super) fn create_task(&mut self, new: &CreateTask) -> Result<(), Refusal> {
        if self.find_task(new.id).is_some() {
            return Err(Refusal::Exists(ObjectId::Task(new.id)));
        }
        if !matches!(new.desired, TaskState::Ready | TaskState::Running | TaskState::Complete) {
            return invalid(format!("a new task cannot be wanted {}", new.desired));
        }
        if let Some(node) = new.node {
            self.need::<Node>(node)?;
        }
        let template = match &new.template {
            NewTemplate::Service { service, spec_version } => {
                let template = self.template(*service, *spec_version)?;
                self.need_free_slot(new, *service, &template)?;
                template
            }
            NewTemplate::Attachment(spec) => self.attachment(new, spec)?,
        };
        self.open_task(task(new, template, self.at))
    }

    /// The template of a service at a version of its spec: the shared one, or a first one.
    fn template(&self, id: ServiceId, version: u64) -> Result<Arc<Template>, Refusal> {
        let service = self.need::<Service>(id)?;
        let found = service.meta.spec_version;
        let previous = service.previous.as_ref().filter(|it| it.spec_version == version);
        let spec = match previous {
            _ if found == version => &service.spec,
            Some(previous) => &previous.spec,
            None => {
                let object = ObjectId::Service(id);
                return Err(Refusal::Stale { object, expected: version, found });
            }
        };
        let shared = self.tables.templates.get(&(id, version)).map(|it| &it.template);
        Ok(shared.map_or_else(|| Arc::new(from_spec(id, version, spec)), Arc::clone))
    }

    fn need_free_slot(
        &self,
        new: &CreateTask,
        service: ServiceId,
        template: &Template,
    ) -> Result<(), Refusal> {
        let newest = if template.global {
            let Some(node) = new.node.filter(|_| new.slot == 0) else {
                return invalid("a task of a global service has slot 0 and a node");
            };
            let keys = self.tables.on_node(node, Some(service));
            keys.last().map(|key| (key.task, key.created))
        } else {
            let keys = self.tables.in_slots(service, new.slot, new.slot);
            keys.last().map(|key| (key.task, key.created))
        };
        match newest {
            // Within one entry there is no order of age: the next round may add another.
            Some((task, created)) if created == self.index => served(new, service, task),
            Some((task, _)) if new.replaces != Some(task) => served(new, service, task),
            None if new.replaces.is_some() => {
                invalid(format!("slot {} of service {service} is empty: decide again", new.slot))
            }
            _ => Ok(()),
        }
    }

    fn attachment(&self, new: &CreateTask, spec: &TaskSpec) -> Result<Arc<Template>, Refusal> {
        let attaches = matches!(spec.runtime, TaskRuntime::Attachment(_));
        if !attaches || new.node.is_none() || new.replaces.is_some() || new.slot != 0 {
            return invalid(
                "a task without a service is an attachment: it has a node, slot 0, no predecessor",
            );
        }
        let networks: Vec<_> = networks_of(spec).map(ObjectId::Network).collect();
        self.need_all(&networks)?;
        Ok(Arc::new(Template {
            service: None,
            spec_version: 0,
            service_annotations: Default::default(),
            endpoint: Default::default(),
            global: false,
            spec: spec.clone(),
        }))
    }
}

fn served(new: &CreateTask, service: ServiceId, by: TaskId) -> Result<(), Refusal> {
    let slot = new.slot;
    invalid(format!("slot {slot} of service {service} is served by task {by}: decide again"))
}

fn from_spec(service: ServiceId, spec_version: u64, spec: &ServiceSpec) -> Template {
    Template {
        service: Some(service),
        spec_version,
        service_annotations: spec.annotations.clone(),
        endpoint: spec.endpoint.clone(),
        global: matches!(spec.mode, ServiceMode::Global | ServiceMode::GlobalJob),
        spec: spec.task.clone(),
    }
}

fn task(new: &CreateTask, template: Arc<Template>, at: Timestamp) -> Task {
    let status = TaskStatus {
        state: TaskState::New,
        at,
        message: "created".to_owned(),
        applied_at: at,
        ..TaskStatus::default()
    };
    Task {
        id: new.id,
        meta: Meta::default(),
        template,
        slot: new.slot,
        node: new.node,
        desired: new.desired,
        desired_reason: String::new(),
        status,
        replaces: new.replaces,
        start_after: new.start_after,
        ran_at: Timestamp::default(),
        networks: Vec::new(),
        generic: Vec::new(),
        job_iteration: new.job_iteration,
        volumes: Vec::new(),
    }
}
