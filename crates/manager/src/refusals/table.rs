//! Whom each call of the managers' port is for.

use std::collections::BTreeSet;
use std::fs;

/// Whom a call is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum For {
    /// Who shows no certificate, too.
    Anybody,
    /// Nodes of the cluster.
    Nodes,
    /// Nodes that are managers now.
    Managers,
    /// Served on a node's own socket, and not here.
    ItsOwnSocket,
}

/// Service, whom they are for, methods.
pub(super) const CALLS: &[(&str, For, &[&str])] = &[
    ("Ca", For::Anybody, &["IssueNodeCertificate", "Challenge", "RenewExpired"]),
    ("Ca", For::Nodes, &["RenewNodeCertificate"]),
    ("Dispatcher", For::Nodes, &["Session", "Heartbeat", "UpdateTaskStatus", "Assignments"]),
    ("Relay", For::Nodes, &["Serve"]),
    (
        "Control",
        For::Managers,
        &[
            "CreateService",
            "UpdateService",
            "RollbackService",
            "RemoveService",
            "GetService",
            "ListServices",
            "ListTasks",
            "GetTask",
            "ListNodes",
            "GetNode",
            "UpdateNode",
            "RemoveNode",
            "ExplainTask",
            "Watch",
            "GetCluster",
            "UpdateCluster",
            "GetUnlockKey",
            "RotateUnlockKey",
            "GetJoinToken",
            "RotateJoinToken",
        ],
    ),
    ("Raft", For::Managers, &["Call", "Install"]),
    ("Managers", For::Managers, &["Admit", "Vouch"]),
    ("Tasks", For::Managers, &["Logs", "Exec", "Stats"]),
    (
        "NodeLocal",
        For::ItsOwnSocket,
        &["Init", "Join", "Unlock", "Leave", "Info", "Figures", "Version"],
    ),
    ("Images", For::ItsOwnSocket, &["Load", "List", "Pull", "Remove"]),
    ("Volumes", For::ItsOwnSocket, &["Create", "List", "Remove"]),
];

/// `Service/Method` of all that is declared.
fn declared() -> BTreeSet<String> {
    let folder = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto")).unwrap();
    let mut calls = BTreeSet::new();
    for file in folder {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let mut service = "";
        for line in text.lines() {
            if let Some(begun) = line.strip_prefix("service ") {
                service = begun.trim_end_matches(" {");
            }
            if let Some((method, _)) =
                line.trim_start().strip_prefix("rpc ").and_then(|rest| rest.split_once('('))
            {
                calls.insert(format!("{service}/{method}"));
            }
        }
    }
    calls
}

#[test]
fn the_table_holds_every_call_there_is() {
    let of = |&(service, _, methods): &(&str, For, &[&str])| {
        methods.iter().map(|method| format!("{service}/{method}")).collect::<Vec<_>>()
    };

    let held: BTreeSet<String> = CALLS.iter().flat_map(of).collect();

    assert_eq!(held, declared());
}
