//! The table of tasks that `swarm ps` and the `ps` of services and nodes print.

use std::collections::BTreeMap;

use swarm_types::text::{ellipsis, natural_cmp, short_id};
use swarm_types::{Node, NodeId, Task, Timestamp};

use super::{ago, capitalized, familiar, ports};
use crate::output::{List, ListKind, Row};

/// Widest cell of the error column.
const ERROR_WIDTH: usize = 30;

static KIND: ListKind = ListKind {
    table: "{{.ID}}\t{{.Name}}\t{{.Image}}\t{{.Node}}\t{{.DesiredState}}\t{{.CurrentState}}\t{{.Error}}\t{{.Ports}}",
    headers: &[
        ("ID", "ID"),
        ("Name", "NAME"),
        ("Image", "IMAGE"),
        ("Node", "NODE"),
        ("DesiredState", "DESIRED STATE"),
        ("CurrentState", "CURRENT STATE"),
        ("Error", "ERROR"),
        ("Ports", "PORTS"),
    ],
    raw: &[
        ("id", "{{.ID}}"),
        ("name", "{{.Name}}"),
        ("image", "{{.Image}}"),
        ("node", "{{.Node}}"),
        ("desired_state", "{{.DesiredState}}"),
        ("current_state", "{{.CurrentState}}"),
        ("error", "{{.Error}}"),
        ("ports", "{{.Ports}}"),
    ],
    quiet: "{{.ID}}",
    config_key: "tasksFormat",
};

/// How much of a task a table shows.
#[derive(clap::Args, Debug, Clone, Copy)]
pub(crate) struct Width {
    /// Do not truncate ids, images and errors
    #[arg(long)]
    no_trunc: bool,
    /// Show ids of nodes instead of their names
    #[arg(long)]
    no_resolve: bool,
}

impl Width {
    /// Whole ids when nothing else is printed.
    pub(crate) const fn whole_if_quiet(self, quiet: bool) -> Self {
        Self { no_trunc: self.no_trunc || quiet, ..self }
    }
}

/// Rows by name, newest first; in tables, older tasks of the same name are indented below.
pub(crate) fn list(mut tasks: Vec<Task>, nodes: &[Node], width: Width, now: Timestamp) -> List {
    let hosts: BTreeMap<NodeId, &str> = nodes.iter().map(|node| (node.id, host(node))).collect();
    tasks.sort_by(|a, b| {
        natural_cmp(&name(a), &name(b)).then(b.meta.created_at.cmp(&a.meta.created_at))
    });

    let (mut above, mut rows) = (String::new(), Vec::new());
    for task in &tasks {
        let name = name(task);
        let node = task.node.map(|id| match hosts.get(&id) {
            Some(host) if !width.no_resolve => (*host).to_owned(),
            _ => id.to_string(),
        });
        let id = task.id.as_str();
        let row = Row::new([
            ("ID", if width.no_trunc { id } else { short_id(id) }.to_owned()),
            ("Name", name.clone()),
            ("Image", if width.no_trunc { image(task).to_owned() } else { familiar(image(task)) }),
            ("Node", node.unwrap_or_default()),
            ("DesiredState", capitalized(task.desired.as_str())),
            ("CurrentState", current_state(task, now)),
            ("Error", shown_error(&task.status.err, width)),
            ("Ports", ports::of_task(&task.status.ports)),
        ]);
        let is_older = name == above;
        rows.push(if is_older { row.in_tables("Name", format!(r" \_ {name}")) } else { row });
        above = name;
    }
    List::new(&KIND, rows)
}

/// The node's name, else its host's.
pub(crate) fn host(node: &Node) -> &str {
    [&node.spec.annotations.name, &node.description.hostname]
        .into_iter()
        .find(|name| !name.is_empty())
        .map_or(node.id.as_str(), String::as_str)
}

/// `SERVICE.SLOT`, or `SERVICE.NODE` for tasks without a slot.
pub(crate) fn name(task: &Task) -> String {
    let full = task.name();
    full.rsplit_once('.').map_or(full.clone(), |(name, _)| name.to_owned())
}

fn image(task: &Task) -> &str {
    task.spec().container().map_or("", |container| container.image.as_str())
}

fn current_state(task: &Task, now: Timestamp) -> String {
    format!("{} {}", capitalized(task.status.state.as_str()), ago(task.status.at, now))
}

/// Docker cuts first and quotes then.
fn shown_error(text: &str, width: Width) -> String {
    if text.is_empty() {
        return String::new();
    }
    let line = text.replace(['\n', '\t'], " ");
    let line = if width.no_trunc { line } else { ellipsis(&line, ERROR_WIDTH) };
    format!("\"{line}\"")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use swarm_types::TaskState;

    use super::*;
    use crate::output::tests::shown;
    use crate::view::fixture;

    const SHORT: Width = Width { no_trunc: false, no_resolve: false };
    const FULL: Width = Width { no_trunc: true, no_resolve: true };

    #[test]
    fn an_error_is_cut_to_thirty_columns_and_quoted_whole() {
        let text = "no suitable node (insufficient resources on 1 node)";

        assert_eq!(shown_error(text, SHORT), "\"no suitable node (insufficien…\"");
        assert_eq!(shown_error(text, FULL), format!("\"{text}\""));
        assert_eq!(shown_error("", SHORT), "");
    }

    #[test]
    fn history_is_indented_below_the_newest() {
        let now = fixture::at(600);
        let service = fixture::service("web", 1);
        let node = fixture::node("m1", 1);
        let mut old = fixture::task(&service, 1, 1);
        old.node = Some(node.id);
        old.desired = TaskState::Shutdown;
        old.status.state = TaskState::Failed;
        old.status.err = "task: non-zero exit (1)".into();
        let mut new = fixture::task(&service, 1, 2);
        new.node = Some(node.id);
        new.meta.created_at = fixture::at(60);
        new.status.at = now.after(Duration::ZERO);
        new.status.ports = fixture::host_ports();
        let list = list(vec![old, new], &[node], SHORT, now);

        let expected = "\
ID             NAME        IMAGE     NODE      DESIRED STATE   CURRENT STATE                    ERROR                       PORTS
ID2            web.1       web:1     m1        Running         Running less than a second ago                               *:8080->80/tcp
ID1             \\_ web.1   web:1     m1        Shutdown        Failed 10 minutes ago            \"task: non-zero exit (1)\"
"
        .replace("ID2         ", &fixture::short_id::<swarm_types::TaskId>(2))
        .replace("ID1         ", &fixture::short_id::<swarm_types::TaskId>(1));
        assert_eq!(shown(&list, "table"), expected);
        assert_eq!(shown(&list, "{{.Name}}"), "web.1\nweb.1\n");
    }
}
