//! The table of tasks that `swarm ps` and `swarm service ps` print.

use std::collections::BTreeMap;

use swarm_types::text::{ellipsis, human_duration, natural_cmp};
use swarm_types::{Node, NodeId, Task, Timestamp};

use super::{capitalized, short};
use crate::output::Table;

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
pub(crate) fn table(mut tasks: Vec<Task>, nodes: &[Node], width: Width, now: Timestamp) -> Table {
    let hosts: BTreeMap<NodeId, &str> =
        nodes.iter().map(|node| (node.id, node.description.hostname.as_str())).collect();
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
        let shown = if name == above { format!(r" \_ {name}") } else { name.clone() };
        let node =
            task.node.map(|id| hosts.get(&id).map_or_else(|| id.to_string(), ToString::to_string));
        table.row(
            task.id,
            [
                if width.no_trunc { task.id.to_string() } else { short(task.id.as_str()) },
                shown,
                image(task).to_owned(),
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
    if task.status.err.is_empty() {
        return String::new();
    }
    let quoted = format!("\"{}\"", task.status.err.replace('\n', " "));
    if width.no_trunc { quoted } else { ellipsis(&quoted, ERROR_WIDTH) }
}
