//! Filters of the lists of tasks.

use swarm_types::{Node, NodeId, Task, TaskState};

use super::filter::{FilterArgs, Filters};
use super::task_table;

/// What a list of tasks is narrowed to.
pub(crate) struct TaskFilters {
    filters: Filters,
    /// The node that was asked, for `node=self`.
    own: Option<NodeId>,
}

impl TaskFilters {
    /// Keys of `ps`.
    pub(crate) const OF_ALL: &[&str] = &["desired-state", "id", "label", "name", "node"];
    /// Keys of `service ps`.
    pub(crate) const OF_SERVICES: &[&str] = &["desired-state", "id", "name", "node"];
    /// Keys of `node ps`.
    pub(crate) const OF_NODES: &[&str] = &["desired-state", "id", "label", "name"];

    pub(crate) fn new(
        args: &FilterArgs,
        keys: &[&str],
        own: Option<NodeId>,
    ) -> anyhow::Result<Self> {
        Ok(Self { filters: args.of(keys)?, own })
    }

    /// Keeps what matches.
    pub(crate) fn keep(&self, tasks: &mut Vec<Task>, nodes: &[Node]) -> anyhow::Result<()> {
        // Refuses a bad word also when there is no task to compare it with.
        self.desired(TaskState::Running)?;
        tasks.retain(|task| {
            let container = task.spec().container();
            self.desired(task.desired).unwrap_or(false)
                && self.filters.any("id", |start| task.id.as_str().starts_with(start))
                && self.filters.any("name", |start| task_table::name(task).starts_with(start))
                && self.filters.any("node", |wanted| self.is_on(task, wanted, nodes))
                && container.is_none_or(|it| self.filters.labels("label", &it.labels))
        });
        Ok(())
    }

    fn desired(&self, desired: TaskState) -> anyhow::Result<bool> {
        // What is to be removed or ready shows as Docker's API sorts it.
        let word = match desired {
            TaskState::Running | TaskState::Ready => "running",
            TaskState::Accepted => "accepted",
            _ => "shutdown",
        };
        self.filters.word("desired-state", word, &["running", "shutdown", "accepted"])
    }

    fn is_on(&self, task: &Task, wanted: &str, nodes: &[Node]) -> bool {
        let Some(id) = task.node else { return false };
        if wanted == "self" {
            return self.own == Some(id);
        }
        let node = nodes.iter().find(|node| node.id == id);
        id.as_str().starts_with(wanted) || node.is_some_and(|it| task_table::host(it) == wanted)
    }
}
