//! What monitoring wants to know of the node: of its store, what that holds, and its certificate.

use std::collections::BTreeMap;

use prometheus::TextEncoder;
use swarm_proto::v1;
use swarm_raft::Leadership;

use crate::Inner;
use crate::managing::Managing;

impl Inner {
    /// Answers always; what the node does not have is left out.
    pub(crate) async fn figures(&self) -> v1::FiguresResponse {
        let member = self.member.lock().await;
        let Some(member) = member.as_ref() else { return v1::FiguresResponse::default() };
        let mut figures = member.managing.as_ref().map(of_manager).unwrap_or_default();
        let files = self.certificate_files().ok();
        let certificate = files.and_then(|files| files.load().ok().flatten());
        figures.certificate_expires_at_ns = certificate.map(|it| it.certificate.not_after.0);
        figures
    }
}

fn counted(managing: &Managing) -> String {
    let families = [managing.raft.gather(), managing.manager.gather()].concat();
    TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
        tracing::warn!(%error, "what the manager counts cannot be shown");
        String::new()
    })
}

fn of_manager(managing: &Managing) -> v1::FiguresResponse {
    let (info, snapshot) = (managing.raft.info(), managing.raft.snapshot());
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let objects: BTreeMap<_, _> = [
        ("node", snapshot.nodes().count()),
        ("service", snapshot.services().count()),
        ("task", snapshot.tasks().count()),
        ("network", snapshot.networks().count()),
        ("secret", snapshot.secrets().count()),
        ("config", snapshot.configs().count()),
        ("volume", snapshot.volumes().count()),
    ]
    .into_iter()
    .map(|(kind, number)| (kind.to_owned(), count(number)))
    .collect();
    let raft = v1::RaftFigures {
        leads: matches!(info.leadership, Leadership::Leader { .. }),
        term: info.term,
        members: count(info.members.len()),
        voters: count(info.voters.len()),
        reachable: count(info.reachable.len()),
        last_index: info.last,
        applied_index: info.applied,
        snapshot_index: info.snapshot,
        log_bytes: info.log_bytes,
        epoch: info.epoch,
    };
    v1::FiguresResponse {
        raft: Some(raft),
        objects,
        pending_tasks: count(snapshot.unassigned().count()),
        certificate_expires_at_ns: None,
        counted: counted(managing),
    }
}
