//! The cluster object: founded once, never removed, its counters only grow.

use swarm_types::spec::cluster::ClusterSpec;
use swarm_types::{Cluster, ObjectId, Refusal};

use super::{Txn, Writer, invalid};

impl Txn {
    pub(super) fn create_cluster(&mut self, cluster: &Cluster) -> Result<(), Refusal> {
        match &self.tables.cluster {
            Some(other) => Err(Refusal::Exists(ObjectId::Cluster(other.id))),
            None => self.create(cluster.clone()),
        }
    }

    pub(super) fn update_cluster(&mut self, spec: &ClusterSpec) -> Result<(), Refusal> {
        let Some(cluster) = &self.tables.cluster else { return invalid(NO_CLUSTER) };
        let cluster = Cluster { spec: spec.clone(), ..(**cluster).clone() };
        self.update(cluster, Writer::User)
    }

    /// Removed nodes are not the manager's to write: one that was removed meanwhile stays so.
    pub(super) fn set_cluster(&mut self, new: &Cluster) -> Result<(), Refusal> {
        let Some(old) = &self.tables.cluster else { return invalid(NO_CLUSTER) };
        if new.id != old.id {
            return Err(Refusal::NotFound(ObjectId::Cluster(new.id)));
        }
        if new.spec != old.spec {
            return invalid("the cluster's settings changed meanwhile: read again");
        }
        if new.epoch < old.epoch || new.level < old.level || new.key_clock < old.key_clock {
            return invalid("epoch, level and key clock of the cluster only grow");
        }
        let removed_nodes = old.removed_nodes.clone();
        let cluster = Cluster { meta: old.meta, removed_nodes, ..new.clone() };
        self.update(cluster, Writer::Planner)
    }
}

const NO_CLUSTER: &str = "there is no cluster yet";
