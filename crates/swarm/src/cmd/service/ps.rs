//! `swarm service ps [--no-trunc] [--stale] SERVICE...`

use swarm_client::{Client, TaskFilter};
use swarm_types::Timestamp;

use crate::output::Printer;
use crate::view::ReadArgs;
use crate::view::task_table::{self, Width};

#[derive(clap::Args, Debug)]
pub(crate) struct Ps {
    #[command(flatten)]
    width: Width,
    #[command(flatten)]
    read: ReadArgs,
    /// Services by id, name or unique start of the id
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

pub(crate) async fn run(args: Ps, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let consistency = args.read.consistency();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &args.services {
        match client.service(name, consistency).await {
            Ok(service) => found.push(service.value.id),
            Err(error) => missing.push(error),
        }
    }
    if !found.is_empty() {
        let filter = TaskFilter { services: found, ..TaskFilter::default() };
        let tasks = args.read.unwrap(client.tasks(&filter, consistency).await?, out);
        let nodes = client.nodes(consistency).await?.value;
        let table = task_table::table(tasks, &nodes, args.width, Timestamp::now(), out);
        out.table(&table)?;
    }
    super::all_done(&missing)
}
