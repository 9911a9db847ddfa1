//! `swarm service inspect [--stale] SERVICE...`
//!
//! Prints a JSON array in the shape of Docker's API.

use serde_json::Value;
use swarm_client::Client;

use crate::output::Printer;
use crate::view::{ReadArgs, json};

#[derive(clap::Args, Debug)]
pub(crate) struct Inspect {
    #[command(flatten)]
    read: ReadArgs,
    /// Services by id, name or unique start of the id
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

pub(crate) async fn run(args: Inspect, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &args.services {
        match client.service(name, args.read.consistency()).await {
            Ok(service) => found.push(json::service(&args.read.unwrap(service, out))),
            Err(error) => missing.push(error),
        }
    }
    out.json(&Value::Array(found))?;
    super::all_done(&missing)
}
