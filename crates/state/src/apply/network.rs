//! Networks. Their spec never changes; names, identifiers and the mesh are claims.

use swarm_types::spec::network::IpamConfig;
use swarm_types::spec::service::PublishMode;
use swarm_types::{Network, NetworkId, ObjectId, Refusal};

use super::{Txn, Writer, invalid};
use crate::kind::networks_of;

/// Label of networks that Docker clients expect to be there.
const PREDEFINED: &str = "com.docker.swarm.predefined";

impl Txn {
    pub(super) fn create_network(&mut self, network: &Network) -> Result<(), Refusal> {
        self.need_absent::<Network>(network.id)?;
        self.need_own_subnets(network.id, &network.ipam)?;
        self.create(network.clone())
    }

    pub(super) fn set_network(
        &mut self,
        id: NetworkId,
        ipam: &[IpamConfig],
        vnis: &[u32],
    ) -> Result<(), Refusal> {
        let old = self.need::<Network>(id)?;
        self.need_own_subnets(id, ipam)?;
        let (ipam, vnis) = (ipam.to_vec(), vnis.to_vec());
        self.update(Network { ipam, vnis, ..(**old).clone() }, Writer::Planner)
    }

    pub(super) fn remove_network(&mut self, id: NetworkId) -> Result<(), Refusal> {
        let network = self.need::<Network>(id)?;
        if network.spec.annotations.labels.contains_key(PREDEFINED) {
            return invalid(format!("network {id} is predefined and cannot be removed"));
        }
        let ingress = network.spec.ingress;
        self.need_unused(ObjectId::Network(id))?;
        self.need_no_address(id)?;
        self.need_no_task(id)?;
        if ingress {
            self.need_no_ingress_port(id)?;
        }
        self.remove::<Network>(id)
    }

    /// Two allocators that do not know of each other must not hand out one subnet twice.
    fn need_own_subnets(&self, id: NetworkId, ipam: &[IpamConfig]) -> Result<(), Refusal> {
        for (other, network) in &self.tables.networks {
            let theirs = || network.ipam.iter().map(|config| config.subnet);
            let taken = ipam.iter().find(|our| theirs().any(|it| overlaps(it, our.subnet)));
            if let Some(config) = taken.filter(|_| *other != id) {
                let name = &network.spec.annotations.name;
                let subnet = config.subnet;
                return invalid(format!("subnet {subnet} overlaps with that of network {name}"));
            }
        }
        Ok(())
    }

    fn need_no_address(&self, id: NetworkId) -> Result<(), Refusal> {
        let user = self.tables.address_holder(id);
        user.map_or(Ok(()), |user| in_use(id, self.describe(user)))
    }

    /// Tasks may still want a network their service has given up meanwhile.
    fn need_no_task(&self, id: NetworkId) -> Result<(), Refusal> {
        for ((service, version), shared) in &self.tables.templates {
            if !networks_of(&shared.template.spec).any(|network| network == id) {
                continue;
            }
            let keys = self.tables.in_slots(*service, 0, u64::MAX);
            let mut tasks = keys.filter_map(|key| self.tables.tasks.get(&key.task));
            let user = tasks
                .find(|task| task.spec_version() == *version && !task.status.state.is_terminal());
            if let Some(task) = user {
                return in_use(id, ObjectId::Task(task.id).to_string());
            }
        }
        Ok(())
    }

    /// Also a port that is not worked out yet: its service could not get one without the mesh.
    fn need_no_ingress_port(&self, id: NetworkId) -> Result<(), Refusal> {
        let user = self.tables.services.into_iter().find(|(_, service)| {
            let mut ports = service.spec.endpoint.ports.iter().chain(&service.endpoint.ports);
            ports.any(|port| port.mode == PublishMode::Ingress)
        });
        user.map_or(Ok(()), |(user, _)| in_use(id, self.describe(ObjectId::Service(*user))))
    }
}

fn in_use(id: NetworkId, user: String) -> Result<(), Refusal> {
    Err(Refusal::InUse { object: ObjectId::Network(id), user })
}

/// Two subnets overlap when one holds the other's first address.
fn overlaps(a: ipnetwork::IpNetwork, b: ipnetwork::IpNetwork) -> bool {
    a.contains(b.network()) || b.contains(a.network())
}
