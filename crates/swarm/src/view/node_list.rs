//! The table that `swarm node ls` prints.

use swarm_client::{Managers, Standing};
use swarm_types::text::natural_cmp;
use swarm_types::{Node, NodeId};

use super::capitalized;
use crate::output::{List, ListKind, Row};

static KIND: ListKind = ListKind {
    table: "{{.ID}} {{if .Self}}*{{else}} {{end}}\t{{.Hostname}}\t{{.Status}}\t{{.Availability}}\t{{.ManagerStatus}}\t{{.EngineVersion}}",
    headers: &[
        ("ID", "ID"),
        ("Hostname", "HOSTNAME"),
        ("Status", "STATUS"),
        ("Availability", "AVAILABILITY"),
        ("ManagerStatus", "MANAGER STATUS"),
        ("EngineVersion", "ENGINE VERSION"),
        ("TLSStatus", "TLS STATUS"),
    ],
    raw: &[
        ("node_id", "{{.ID}}"),
        ("hostname", "{{.Hostname}}"),
        ("status", "{{.Status}}"),
        ("availability", "{{.Availability}}"),
        ("manager_status", "{{.ManagerStatus}}"),
    ],
    quiet: "{{.ID}}",
    config_key: "nodesFormat",
};

/// Rows by host name; `own` is the node that was asked.
pub(crate) fn list(mut nodes: Vec<Node>, own: Option<NodeId>, managers: &Managers) -> List {
    nodes.sort_by(|a, b| {
        natural_cmp(&a.description.hostname, &b.description.hostname).then(a.id.cmp(&b.id))
    });
    let row = |node: &Node| {
        let row = Row::new([
            ("ID", node.id.to_string()),
            ("Hostname", node.description.hostname.clone()),
            ("Status", capitalized(node.status.state.as_str())),
            ("Availability", capitalized(node.spec.availability.as_str())),
            ("ManagerStatus", capitalized(manager_status(managers.standing(node)))),
            ("EngineVersion", node.description.engine_version.clone()),
            ("TLSStatus", tls_status(node).to_owned()),
        ]);
        row.with("Self", own == Some(node.id))
    };
    List::new(&KIND, nodes.iter().map(row).collect())
}

/// In Docker's words; empty for workers.
pub(crate) const fn manager_status(standing: Option<Standing>) -> &'static str {
    match standing {
        None => "",
        Some(Standing::Leader) => "leader",
        Some(Standing::Reachable) => "reachable",
        Some(Standing::Unreachable) => "unreachable",
    }
}

/// As [`manager_status`], where leading is told beside it.
pub(crate) const fn reachability(standing: Standing) -> &'static str {
    manager_status(Some(match standing {
        Standing::Leader => Standing::Reachable,
        other => other,
    }))
}

/// A node that has told what it trusts was admitted by it: its session is over mTLS.
fn tls_status(node: &Node) -> &'static str {
    if node.description.tls.trust_root.is_empty() { "Unknown" } else { "Ready" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::shown;
    use crate::view::fixture;

    #[test]
    fn the_asked_node_is_marked_in_tables_only() {
        let (m1, w2) = (fixture::node("m1", 1), fixture::node("w2", 2));
        let id = m1.id;
        let w3 = fixture::node("w3", 3);
        let reachable = [id, w2.id].into();
        let managers = Managers { leader: Some(id), reachable, ..Managers::default() };
        let list = list(vec![w2, m1, w3], Some(id), &managers);

        let table = shown(&list, "table");
        let rows: Vec<&str> = table.lines().collect();
        let rest = |row: &str| row.split_once(' ').map(|(_, rest)| rest.to_owned()).unwrap();
        assert_eq!(
            rows[0],
            format!(
                "{:<30}HOSTNAME   STATUS    AVAILABILITY   MANAGER STATUS   ENGINE VERSION",
                "ID"
            )
        );
        assert_eq!(rest(rows[1]), "*   m1         Ready     Active         Leader           0.1.0");
        assert_eq!(rest(rows[2]), "    w2         Ready     Active         Reachable        0.1.0");
        assert_eq!(rest(rows[3]), "    w3         Ready     Active         Unreachable      0.1.0");
        assert_eq!(shown(&list, "{{.ID}}").lines().next(), Some(id.as_str()));
    }
}
