//! `swarm service ps [--filter KEY=VALUE] [--no-trunc] [--no-resolve] [--stale] SERVICE...`

use swarm_client::Client;

use crate::cmd::ps::{self, Shown};
use crate::output::Printer;
use crate::view::task_filter::TaskFilters;

#[derive(clap::Args, Debug)]
pub(crate) struct Ps {
    #[command(flatten)]
    shown: Shown,
    /// Services by id, name or unique start of the id
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

pub(crate) async fn run(args: Ps, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let (shown, keys) = (&args.shown, TaskFilters::OF_SERVICES);
    ps::of_services(shown, keys, &args.services, |_| true, client, out).await
}
