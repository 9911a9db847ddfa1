//! `swarm service rm SERVICE...`
//!
//! Prints each service as it was typed. The tasks end in the background.

use swarm_client::{Client, Consistency};

use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Rm {
    /// Services by id, name or unique start of the id
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

pub(crate) async fn run(args: Rm, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for name in &args.services {
        let removed = match client.service(name, Consistency::Linearizable).await {
            Ok(service) => client.remove_service(service.value.id).await,
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) => out.line(name)?,
            Err(error) => failed.push(error),
        }
    }
    crate::cmd::all_done(&failed)
}
