//! `swarm service rollback SERVICE`
//!
//! Returns to the spec before the last update, then waits as `update` does.

use anyhow::Context;
use swarm_client::{Client, Consistency};

use super::settle::{self, Wait};
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Rollback {
    #[command(flatten)]
    wait: Wait,
    /// Service by id, name or unique start of the id
    service: String,
}

pub(crate) async fn run(args: Rollback, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    back(&args.service, args.wait, client, out).await
}

/// Rolls a service back, and waits unless told not to.
pub(super) async fn back(
    name: &str,
    wait: Wait,
    client: &Client,
    out: &mut Printer,
) -> anyhow::Result<()> {
    let service = client.service(name, Consistency::Linearizable).await?.value;
    let changed = client.rollback_service(&service).await;
    let changed = changed.with_context(|| format!("roll service {name} back"))?;

    for warning in &changed.warnings {
        out.warn(warning);
    }
    out.line(name)?;
    settle::settled(wait, service.id, client, out).await
}
