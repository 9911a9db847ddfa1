//! `swarm ps [--filter KEY=VALUE] [--no-trunc] [--no-resolve] [--stale] [SERVICE...]`
//!
//! The live tasks of the whole cluster, or of some services; `swarm service ps` also shows those
//! that have ended.

use swarm_client::{Client, TaskFilter};
use swarm_types::{Task, Timestamp};

use crate::output::Printer;
use crate::view::ReadArgs;
use crate::view::filter::FilterArgs;
use crate::view::task_filter::TaskFilters;
use crate::view::task_table::{self, Width};

#[derive(clap::Args, Debug)]
pub(crate) struct Ps {
    #[command(flatten)]
    pub(crate) shown: Shown,
    /// Services by id, name or unique start of the id [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// Options of every list of tasks.
#[derive(clap::Args, Debug)]
pub(crate) struct Shown {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) width: Width,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

pub(crate) async fn run(args: Ps, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let live = |task: &Task| !task.status.state.is_terminal();
    if args.services.is_empty() {
        let all = TaskFilter::default();
        return show(&args.shown, TaskFilters::OF_ALL, &all, live, client, out).await;
    }
    of_services(&args.shown, TaskFilters::OF_ALL, &args.services, live, client, out).await
}

/// Prints tasks of the services of those names; fails after that for those there are not.
pub(crate) async fn of_services(
    shown: &Shown,
    keys: &[&str],
    names: &[String],
    kept: impl Fn(&Task) -> bool,
    client: &Client,
    out: &mut Printer,
) -> anyhow::Result<()> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        match client.service(name, shown.read.consistency()).await {
            Ok(service) => found.push(service.value.id),
            Err(error) => missing.push(error),
        }
    }
    if !found.is_empty() {
        let wanted = TaskFilter { services: found, ..TaskFilter::default() };
        show(shown, keys, &wanted, kept, client, out).await?;
    }
    crate::cmd::all_done(&missing)
}

/// Prints the tasks that the managers list for `wanted` and that all filters keep.
pub(crate) async fn show(
    shown: &Shown,
    keys: &[&str],
    wanted: &TaskFilter,
    kept: impl Fn(&Task) -> bool,
    client: &Client,
    out: &mut Printer,
) -> anyhow::Result<()> {
    let consistency = shown.read.consistency();
    let filters = TaskFilters::new(&shown.filter, keys, client.info().await?.node)?;
    let mut tasks = shown.read.unwrap(client.tasks(wanted, consistency).await?, out);
    let nodes = client.nodes(consistency).await?.value;
    tasks.retain(kept);
    filters.keep(&mut tasks, &nodes)?;
    let width = shown.width.whole_if_quiet(out.quiet());
    out.list(&task_table::list(tasks, &nodes, width, Timestamp::now()))
}
