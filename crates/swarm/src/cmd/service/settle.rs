//! Waiting until a service runs as it should, with a line whenever that changes.

use swarm_client::{Client, Progress};
use swarm_types::ServiceId;

use crate::output::Printer;

/// How long a command waits, or whether it waits at all.
#[derive(clap::Args, Debug, Clone, Copy)]
pub(crate) struct Wait {
    /// Return as soon as the managers have accepted the change
    #[arg(long, short)]
    detach: bool,
}

/// Waits until every task of the service runs, unless told not to. Ctrl-C stops the waiting
/// only; the change goes on.
pub(crate) async fn settled(
    wait: Wait,
    service: ServiceId,
    client: &Client,
    out: &mut Printer,
) -> anyhow::Result<()> {
    if wait.detach {
        return Ok(());
    }
    let mut shown = None;
    let settled = client.wait_settled(service, |progress: &Progress| {
        if shown.as_ref() != Some(progress) {
            out.note(line(progress));
            shown = Some(progress.clone());
        }
    });
    tokio::select! {
        result = settled => Ok(result?),
        _ = tokio::signal::ctrl_c() => {
            out.note("Operation continuing in background.");
            out.note(format_args!("Use `swarm service ps {service}` to check progress."));
            Ok(())
        }
    }
}

fn line(progress: &Progress) -> String {
    let overall =
        format!("overall progress: {} out of {} tasks", progress.running, progress.wanted);
    match &progress.error {
        Some(error) => format!("{overall}: {error}"),
        None => overall,
    }
}
