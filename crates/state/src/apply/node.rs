//! Nodes as users and managers write them. Sessions are in `session.rs`.

use swarm_types::object::cluster::RemovedNode;
use swarm_types::spec::node::{NodeRole, NodeSpec};
use swarm_types::{Cluster, Node, NodeId, Refusal, Task, TaskState, Timestamp};

use super::{Txn, Writer, invalid};

impl Txn {
    pub(super) fn create_node(&mut self, node: &Node) -> Result<(), Refusal> {
        let removed = self.tables.cluster.iter().flat_map(|it| &it.removed_nodes);
        if removed.into_iter().any(|it| it.node == node.id) {
            return invalid(format!(
                "node {} was removed from the cluster: join it again under a new identity",
                node.id
            ));
        }
        self.create(node.clone())
    }

    pub(super) fn update_node(&mut self, id: NodeId, spec: &NodeSpec) -> Result<(), Refusal> {
        let node = self.need::<Node>(id)?;
        let demoted = node.spec.role == NodeRole::Manager && spec.role == NodeRole::Worker;
        if demoted && !self.another(id, |node| node.spec.role) {
            return invalid("attempting to demote the last manager of the swarm");
        }
        let node = Node { spec: spec.clone(), ..(**node).clone() };
        self.update(node, Writer::User)
    }

    pub(super) fn set_node_role(&mut self, id: NodeId, role: NodeRole) -> Result<(), Refusal> {
        let node = self.need::<Node>(id)?;
        let demoted = node.role == NodeRole::Manager && role == NodeRole::Worker;
        if demoted && !self.another(id, |node| node.role) {
            return invalid(format!("node {id} is the last manager of the swarm"));
        }
        let node = Node { role, ..(**node).clone() };
        self.update(node, Writer::Planner)
    }

    pub(super) fn set_node_key(&mut self, id: NodeId, key: &[u8]) -> Result<(), Refusal> {
        let node = self.need::<Node>(id)?;
        let node = Node { key_fingerprint: key.to_vec(), ..(**node).clone() };
        self.update(node, Writer::Planner)
    }

    /// True when there is a manager besides that node.
    fn another(&self, id: NodeId, role: fn(&Node) -> NodeRole) -> bool {
        let mut nodes = self.tables.nodes.into_iter();
        nodes.any(|(other, node)| *other != id && role(node) == NodeRole::Manager)
    }

    pub(super) fn remove_node(&mut self, id: NodeId, until: Timestamp) -> Result<(), Refusal> {
        let node = self.need::<Node>(id)?;
        if node.spec.role == NodeRole::Manager || node.role == NodeRole::Manager {
            return invalid(format!(
                "node {id} is a cluster manager: demote it to worker before removal"
            ));
        }
        self.refuse_certificate(id, until)?;
        self.orphan_tasks(id)?;
        self.remove::<Node>(id)
    }

    fn refuse_certificate(&mut self, node: NodeId, until: Timestamp) -> Result<(), Refusal> {
        let Some(cluster) = &self.tables.cluster else { return Ok(()) };
        let mut cluster = Cluster::clone(cluster);
        let now = self.at;
        cluster.removed_nodes.retain(|removed| removed.until > now);
        cluster.removed_nodes.push(RemovedNode { node, until });
        self.update(cluster, Writer::Report)
    }

    /// Nobody will report on these tasks any more; their addresses are free from here on.
    fn orphan_tasks(&mut self, node: NodeId) -> Result<(), Refusal> {
        for mut task in self.tasks_on(node) {
            if !task.status.state.is_terminal() {
                task.status.state = TaskState::Orphaned;
                task.status.message = "the node was removed".to_owned();
                (task.status.at, task.status.applied_at) = (self.at, self.at);
                self.update(task, Writer::Planner)?;
            }
        }
        Ok(())
    }

    fn tasks_on(&self, node: NodeId) -> Vec<Task> {
        let keys = self.tables.on_node(node, None);
        keys.filter_map(|key| self.tables.tasks.get(&key.task)).map(|it| (**it).clone()).collect()
    }
}
