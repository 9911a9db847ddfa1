//! Services: users write the spec, planners what was worked out beside it.

use swarm_types::object::service::{Endpoint, JobStatus, PreviousSpec, UpdateStatus};
use swarm_types::spec::service::{PublishMode, ServiceSpec};
use swarm_types::{Config, ObjectId, Refusal, Secret, Service, ServiceId};

use super::{Txn, Writer, invalid};
use crate::index::Claim;
use crate::kind::service_references;

impl Txn {
    pub(super) fn create_service(&mut self, service: &Service) -> Result<(), Refusal> {
        self.need_no_leftover(service.id)?;
        self.need_referenced(&service.spec)?;
        self.need_endpoint(&service.endpoint)?;
        let job = service.spec.mode.is_job();
        let job = job.then_some(JobStatus { iteration: 0, last_execution: self.at });
        self.create(Service { previous: None, update_status: None, job, ..service.clone() })
    }

    /// Tasks outlive their service, and name it: one that comes back under the same id would
    /// take them for its own, with slots and versions that mean something else.
    fn need_no_leftover(&self, id: ServiceId) -> Result<(), Refusal> {
        match self.tables.in_slots(id, 0, u64::MAX).next() {
            Some(_) => Err(Refusal::Exists(ObjectId::Service(id))),
            None => Ok(()),
        }
    }

    pub(super) fn update_service(
        &mut self,
        id: ServiceId,
        spec: &ServiceSpec,
    ) -> Result<(), Refusal> {
        let old = self.need::<Service>(id)?;
        self.need_new_version(old)?;
        self.need_referenced(spec)?;
        let previous = PreviousSpec { spec: old.spec.clone(), spec_version: old.meta.spec_version };
        let service = Service {
            spec: spec.clone(),
            previous: Some(previous),
            update_status: None,
            job: self.next_run(old, spec),
            ..(**old).clone()
        };
        self.update(service, Writer::User)
    }

    /// A version names one spec: tasks share their template by it.
    fn need_new_version(&self, old: &Service) -> Result<(), Refusal> {
        let previous = old.previous.as_ref().map(|previous| previous.spec_version);
        if old.meta.spec_version == self.index || previous == Some(self.index) {
            return invalid(format!("service {} was changed at the same moment: retry", old.id));
        }
        Ok(())
    }

    /// The two specs change places together with their versions, so that tasks of the earlier
    /// one are up to date again.
    pub(super) fn rollback_service(
        &mut self,
        id: ServiceId,
        status: &UpdateStatus,
    ) -> Result<(), Refusal> {
        let old = self.need::<Service>(id)?;
        let Some(PreviousSpec { spec, spec_version }) = old.previous.clone() else {
            return invalid(format!("service {id} does not have a previous spec"));
        };
        self.need_referenced(&spec)?;
        let previous = PreviousSpec { spec: old.spec.clone(), spec_version: old.meta.spec_version };
        let mut service = Service {
            job: self.next_run(old, &spec),
            spec,
            previous: Some(previous),
            update_status: Some(status.clone()),
            ..(**old).clone()
        };
        service.meta.spec_version = spec_version;
        self.update(service, Writer::Planner)
    }

    /// Every update of a job runs it again.
    fn next_run(&self, old: &Service, spec: &ServiceSpec) -> Option<JobStatus> {
        let iteration = old.job.map_or(0, |job| job.iteration.saturating_add(1));
        spec.mode.is_job().then_some(JobStatus { iteration, last_execution: self.at })
    }

    /// Its tasks stay: the planner ends them.
    pub(super) fn remove_service(&mut self, id: ServiceId) -> Result<(), Refusal> {
        self.need::<Service>(id)?;
        self.remove::<Service>(id)
    }

    pub(super) fn set_update_status(
        &mut self,
        id: ServiceId,
        status: &UpdateStatus,
    ) -> Result<(), Refusal> {
        let old = self.need::<Service>(id)?;
        let service = Service { update_status: Some(status.clone()), ..(**old).clone() };
        self.update(service, Writer::Planner)
    }

    pub(super) fn set_endpoint(
        &mut self,
        id: ServiceId,
        endpoint: &Endpoint,
    ) -> Result<(), Refusal> {
        let old = self.need::<Service>(id)?;
        self.need_endpoint(endpoint)?;
        let service = Service { endpoint: endpoint.clone(), ..(**old).clone() };
        self.update(service, Writer::Planner)
    }

    /// What a spec refers to must exist, under the name the user saw.
    fn need_referenced(&self, spec: &ServiceSpec) -> Result<(), Refusal> {
        self.need_all(&service_references(spec))?;
        if let Some(container) = spec.task.container() {
            for reference in &container.secrets {
                let secret = self.need::<Secret>(reference.id)?;
                let name = &secret.spec.annotations.name;
                need_name(ObjectId::Secret(reference.id), name, &reference.name)?;
            }
            for reference in &container.configs {
                let config = self.need::<Config>(reference.id)?;
                let name = &config.spec.annotations.name;
                need_name(ObjectId::Config(reference.id), name, &reference.name)?;
            }
        }
        let mut ports = spec.endpoint.ports.iter();
        if ports.any(|port| port.mode == PublishMode::Ingress) {
            self.need_ingress()?;
        }
        Ok(())
    }

    fn need_endpoint(&self, endpoint: &Endpoint) -> Result<(), Refusal> {
        let networks: Vec<_> =
            endpoint.virtual_ips.iter().map(|it| ObjectId::Network(it.network)).collect();
        self.need_all(&networks)?;
        if endpoint.ports.iter().any(|port| port.published == 0) {
            return invalid("an endpoint has a published port 0: ports must be worked out");
        }
        if endpoint.ports.iter().any(|port| port.mode == PublishMode::Ingress) {
            self.need_ingress()?;
        }
        Ok(())
    }

    fn need_ingress(&self) -> Result<(), Refusal> {
        if self.tables.claims.get(&Claim::Ingress).is_some() {
            return Ok(());
        }
        invalid("service needs ingress network, but no ingress network is present")
    }
}

fn need_name(object: ObjectId, stored: &str, named: &str) -> Result<(), Refusal> {
    if stored == named {
        return Ok(());
    }
    invalid(format!("{object} is named {stored:?}, the reference says {named:?}"))
}
