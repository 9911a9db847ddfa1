//! `swarm dev status`

use serde_json::Value;
use swarm_dev::{NodeStatus, Rig};

use crate::output::{List, ListKind, Printer, Row};

const KIND: ListKind = ListKind {
    table: "{{.Name}}\t{{.Role}}\t{{.State}}\t{{.Address}}\t{{.CutOffFrom}}\t{{.Pid}}\t{{.ContainerdPid}}\t{{.Socket}}",
    headers: &[
        ("Name", "NAME"),
        ("Role", "ROLE"),
        ("State", "STATE"),
        ("Address", "ADDRESS"),
        ("CutOffFrom", "CUT OFF FROM"),
        ("Socket", "SOCKET"),
        ("Netns", "NETNS"),
        ("Pid", "PID"),
        ("ContainerdPid", "CONTAINERD PID"),
        ("Containerd", "CONTAINERD"),
    ],
    raw: &[("name", "{{.Name}}"), ("state", "{{.State}}"), ("address", "{{.Address}}")],
    quiet: "{{.Name}}",
    config_key: "swarmDevFormat",
};

pub(crate) fn run(rig: &Rig, out: &mut Printer) -> anyhow::Result<()> {
    let rows = rig.status()?.into_iter().map(row).collect();
    out.list(&List::new(&KIND, rows))
}

/// A process that does not run has no id: null, and nothing in tables.
fn row(node: NodeStatus) -> Row {
    let cut = node.cut_off_from.join(", ");
    let row = Row::new([
        ("Name", node.name),
        ("Role", node.role.to_string()),
        ("State", node.state.to_string()),
        ("Address", node.address.to_string()),
        ("Socket", node.socket.display().to_string()),
        ("Netns", node.netns.display().to_string()),
        ("Containerd", node.containerd.display().to_string()),
    ]);
    let row = row.with("CutOffFrom", node.cut_off_from).in_tables("CutOffFrom", cut);
    [("Pid", node.pid), ("ContainerdPid", node.containerd_pid)].into_iter().fold(
        row,
        |row, (key, pid)| {
            let cell = pid.map(|pid| pid.to_string()).unwrap_or_default();
            row.with(key, pid.map_or(Value::Null, Value::from)).in_tables(key, cell)
        },
    )
}
