//! The table of tasks that `swarm ps` and `swarm service ps` print.

use std::collections::BTreeMap;

use swarm_types::text::{ellipsis, human_duration, natural_cmp, short_id};
use swarm_types::{Node, NodeId, Task, Timestamp};

use super::{capitalized, familiar};
use crate::output::{Printer, Table};

/// Widest cell of the error column.
const ERROR_WIDTH: usize = 30;

/// How much of a task a table shows.
#[derive(clap::Args, Debug, Clone, Copy)]
pub(crate) struct Width {
    /// Do not truncate ids and errors
    #[arg(long)]
    no_trunc: bool,
}

/// Rows by name, newest first; older tasks of the same name are indented below the newest.
///
/// JSON rows carry the plain name.
pub(crate) fn table(
    mut tasks: Vec<Task>,
    nodes: &[Node],
    width: Width,
    now: Timestamp,
    out: &Printer,
) -> Table {
    let hosts: BTreeMap<NodeId, &str> = nodes.iter().map(|node| (node.id, host(node))).collect();
    tasks.sort_by(|a, b| {
        natural_cmp(&name(a), &name(b)).then(b.meta.created_at.cmp(&a.meta.created_at))
    });

    let mut table = Table::new(&[
        ("ID", "ID"),
        ("NAME", "Name"),
        ("IMAGE", "Image"),
        ("NODE", "Node"),
        ("DESIRED STATE", "DesiredState"),
        ("CURRENT STATE", "CurrentState"),
        ("ERROR", "Error"),
        ("PORTS", "Ports"),
    ]);
    let mut above = String::new();
    for task in &tasks {
        let name = name(task);
        let is_older = name == above && !out.wants_json();
        let shown = if is_older { format!(r" \_ {name}") } else { name.clone() };
        let node =
            task.node.map(|id| hosts.get(&id).map_or_else(|| id.to_string(), ToString::to_string));
        table.row(
            task.id,
            [
                if width.no_trunc { task.id.as_str() } else { short_id(task.id.as_str()) }
                    .to_owned(),
                shown,
                if width.no_trunc { image(task).to_owned() } else { familiar(image(task)) },
                node.unwrap_or_default(),
                capitalized(task.desired.as_str()),
                current_state(task, now),
                error(task, width),
                String::new(),
            ],
        );
        above = name;
    }
    table
}

/// The node's name, else its host's.
fn host(node: &Node) -> &str {
    [&node.spec.annotations.name, &node.description.hostname]
        .into_iter()
        .find(|name| !name.is_empty())
        .map_or(node.id.as_str(), String::as_str)
}

/// `SERVICE.SLOT`, or `SERVICE.NODE` for global services.
fn name(task: &Task) -> String {
    let full = task.name();
    full.rsplit_once('.').map_or(full.clone(), |(name, _)| name.to_owned())
}

fn image(task: &Task) -> &str {
    task.spec().container().map_or("", |container| container.image.as_str())
}

fn current_state(task: &Task, now: Timestamp) -> String {
    let ago = human_duration(now.since(task.status.at)).to_lowercase();
    format!("{} {ago} ago", capitalized(task.status.state.as_str()))
}

fn error(task: &Task, width: Width) -> String {
    shown_error(&task.status.err, width)
}

/// Docker cuts first and quotes then.
fn shown_error(text: &str, width: Width) -> String {
    if text.is_empty() {
        return String::new();
    }
    let line = text.replace('\n', " ");
    let line = if width.no_trunc { line } else { ellipsis(&line, ERROR_WIDTH) };
    format!("\"{line}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_cut_to_thirty_columns_and_quoted_whole() {
        let text = "no suitable node (insufficient resources on 1 node)";

        let cut = shown_error(text, Width { no_trunc: false });

        assert_eq!(cut, "\"no suitable node (insufficien…\"");
        assert_eq!(shown_error(text, Width { no_trunc: true }), format!("\"{text}\""));
        assert_eq!(shown_error("", Width { no_trunc: false }), "");
    }
}
