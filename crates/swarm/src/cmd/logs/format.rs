//! Labels lines with their task, as `docker service logs` does.

use std::collections::BTreeMap;

use swarm_types::text::short_id;
use swarm_types::{Node, NodeId, Task, TaskId, Timestamp};

use super::Look;
use crate::view::{moment, task_table};

/// Longest line that is put together from parts; a longer one is shown in pieces.
const MAX_LINE: usize = 4 << 20;

/// Puts lines together and labels them.
pub(super) struct Lines {
    look: Look,
    hosts: BTreeMap<NodeId, String>,
    labels: BTreeMap<TaskId, (String, u64)>,
    /// Digits of the highest slot.
    width: usize,
    /// Beginnings of lines, by task and stream.
    begun: BTreeMap<(TaskId, bool), Vec<u8>>,
}

impl Lines {
    pub(super) fn new(look: Look, nodes: &[Node]) -> Self {
        let hosts = BTreeMap::new();
        let mut this =
            Self { look, hosts, labels: BTreeMap::new(), width: 1, begun: BTreeMap::new() };
        this.learn_nodes(nodes);
        this
    }

    /// Remembers what to call these nodes.
    pub(super) fn learn_nodes(&mut self, nodes: &[Node]) {
        self.hosts.extend(nodes.iter().map(|node| (node.id, task_table::host(node).to_owned())));
    }

    pub(super) fn know_the_nodes_of(&self, tasks: &[Task]) -> bool {
        tasks.iter().filter_map(|task| task.node).all(|node| self.hosts.contains_key(&node))
    }

    /// Remembers what to call these tasks.
    pub(super) fn learn(&mut self, tasks: &[Task]) {
        for task in tasks {
            self.width = self.width.max(task.slot.to_string().len());
            let label = (self.label(task), task.slot);
            self.labels.insert(task.id, label);
        }
    }

    /// What stands before the task's lines.
    pub(super) fn label_of(&self, task: TaskId) -> String {
        self.labels.get(&task).map_or_else(|| task.to_string(), |(label, _)| label.clone())
    }

    /// `web.1.3kq9x8d5mzb1@m1`
    fn label(&self, task: &Task) -> String {
        let id = task.id.as_str();
        let cut = if self.look.no_trunc { id } else { short_id(id) };
        let node = task.node.map(|id| id.to_string()).unwrap_or_default();
        if self.look.no_resolve {
            let service = task.service().map(|id| id.to_string()).unwrap_or_default();
            let place = if task.slot > 0 { task.slot.to_string() } else { node.clone() };
            let id = if self.look.no_task_ids { String::new() } else { format!(".{cut}") };
            return format!("{service}.{place}{id}@{node}");
        }
        let host = task.node.and_then(|id| self.hosts.get(&id).cloned()).unwrap_or(node);
        let name = task_table::name(task);
        if self.look.no_task_ids {
            format!("{name}@{host}")
        } else {
            format!("{name}.{cut}@{host}")
        }
    }

    /// The whole line with its label; `None` while parts are missing.
    pub(super) fn line(
        &mut self,
        task: TaskId,
        at: Timestamp,
        stderr: bool,
        data: &[u8],
        partial: bool,
    ) -> Option<Vec<u8>> {
        let begun = self.begun.entry((task, stderr)).or_default();
        begun.extend(data);
        if partial && begun.len() < MAX_LINE {
            return None;
        }
        let text = std::mem::take(begun);
        let mut line = Vec::with_capacity(text.len() + 80);
        if self.look.timestamps {
            line.extend(format!("{} ", moment::nine_digits(at)).bytes());
        }
        if !self.look.raw {
            let unknown = (task.to_string(), 0);
            let (label, slot) = self.labels.get(&task).unwrap_or(&unknown);
            let pad = self.width.saturating_sub(slot.to_string().len());
            line.extend(format!("{label}{:pad$}    | ", "").bytes());
        }
        line.extend(text);
        line.push(b'\n');
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixture;

    fn lines(look: Look) -> (Lines, TaskId, String) {
        let service = fixture::service("web", 1);
        let node = fixture::node("m1", 2);
        let mut task = fixture::task(&service, 1, 3);
        task.node = Some(node.id);
        let last = fixture::task(&service, 10, 4);
        let mut lines = Lines::new(look, &[node]);
        lines.learn(&[task.clone(), last]);
        (lines, task.id, task.id.as_str()[..12].to_owned())
    }

    fn shown(look: Look) -> (String, String) {
        let (mut lines, id, short) = lines(look);
        let line = lines.line(id, Timestamp(0), false, b"hello", false).unwrap();
        (String::from_utf8(line).unwrap(), short)
    }

    #[test]
    fn lines_are_labelled_and_aligned() {
        let (line, short) = shown(Look::default());
        assert_eq!(line, format!("web.1.{short}@m1     | hello\n"));
        let look = Look { no_task_ids: true, timestamps: true, ..Look::default() };
        assert_eq!(shown(look).0, "1970-01-01T00:00:00.000000000Z web.1@m1     | hello\n");
        let (lines, id, short) = lines(Look::default());
        assert_eq!(lines.label_of(id), format!("web.1.{short}@m1"));
        assert_eq!(shown(Look { raw: true, ..Look::default() }).0, "hello\n");
        assert!(!shown(Look { no_resolve: true, ..Look::default() }).0.contains("web"));
    }

    #[test]
    fn parts_become_one_line_per_stream() {
        let (mut lines, id, _) = lines(Look { raw: true, ..Look::default() });
        let mut line =
            |stderr, text: &[u8], partial| lines.line(id, Timestamp(0), stderr, text, partial);
        assert_eq!(line(false, b"a", true), None);
        assert_eq!(line(true, b"x\xff", false).unwrap(), b"x\xff\n");
        assert_eq!(line(false, b"b", false).unwrap(), b"ab\n");
    }
}
