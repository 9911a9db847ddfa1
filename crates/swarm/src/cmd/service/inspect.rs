//! `swarm service inspect [-f TEMPLATE] [--pretty] [--stale] SERVICE...`
//!
//! Prints a JSON array in the shape of Docker's API.

use swarm_client::Client;
use swarm_types::Timestamp;

use crate::output::Printer;
use crate::view::{ReadArgs, json, pretty};

#[derive(clap::Args, Debug)]
pub(crate) struct Inspect {
    /// Go template for each service, as with --format
    #[arg(short = 'f', value_name = "TEMPLATE")]
    template: Option<String>,
    /// Print for people
    #[arg(long, conflicts_with = "template")]
    pretty: bool,
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
            Ok(service) => found.push(args.read.unwrap(service, out)),
            Err(error) => missing.push(error),
        }
    }
    if args.pretty {
        let now = Timestamp::now();
        for (at, service) in found.iter().enumerate() {
            out.line(if at > 0 { "\n" } else { "" }.to_owned() + &pretty::service(service, now))?;
        }
    } else {
        let shown: Vec<_> = found.iter().map(json::service).collect();
        out.inspect(&shown, args.template.as_deref())?;
    }
    crate::cmd::all_done(&missing)
}
