//! `swarm service ps [--filter KEY=VALUE] [--no-trunc] [--no-resolve] [--stale] SERVICE...`

use swarm_client::{Client, TaskFilter};

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
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &args.services {
        match client.service(name, args.shown.read.consistency()).await {
            Ok(service) => found.push(service.value.id),
            Err(error) => missing.push(error),
        }
    }
    if !found.is_empty() {
        let wanted = TaskFilter { services: found, ..TaskFilter::default() };
        ps::show(&args.shown, TaskFilters::OF_SERVICES, &wanted, |_| true, client, out).await?;
    }
    crate::cmd::all_done(&missing)
}
