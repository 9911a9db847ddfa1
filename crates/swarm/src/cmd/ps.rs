//! `swarm ps [--no-trunc] [--stale]`
//!
//! The live tasks of the whole cluster; `swarm service ps` also shows those that have ended.

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
}

pub(crate) async fn run(args: Ps, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let consistency = args.read.consistency();
    let tasks = client.tasks(&TaskFilter::default(), consistency).await?;
    let nodes = client.nodes(consistency).await?.value;

    let mut tasks = args.read.unwrap(tasks, out);
    tasks.retain(|task| !task.status.state.is_terminal());
    let table = task_table::table(tasks, &nodes, args.width, Timestamp::now(), out);
    Ok(out.table(&table)?)
}
