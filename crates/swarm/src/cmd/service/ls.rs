//! `swarm service ls [--filter KEY=VALUE] [--stale]`

use swarm_client::{Client, ServiceRow};

use crate::output::Printer;
use crate::view::filter::{FilterArgs, Filters};
use crate::view::{ReadArgs, service_list};

#[derive(clap::Args, Debug)]
pub(crate) struct Ls {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    read: ReadArgs,
}

pub(crate) async fn run(args: Ls, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let filters = args.filter.of(&["id", "label", "mode", "name"])?;
    let mut kept = Vec::new();
    for row in args.read.unwrap(client.services(args.read.consistency()).await?, out) {
        if matches(&row, &filters)? {
            kept.push(row);
        }
    }
    out.list(&service_list::list(kept))
}

fn matches(row: &ServiceRow, filters: &Filters) -> anyhow::Result<bool> {
    let annotations = &row.service.spec.annotations;
    let mode = service_list::mode(row.service.spec.mode).replace(' ', "-");
    let modes = ["replicated", "global", "replicated-job", "global-job"];
    Ok(filters.word("mode", &mode, &modes)?
        && filters.any("id", |start| row.service.id.as_str().starts_with(start))
        && filters.any("name", |start| annotations.name.starts_with(start))
        && filters.labels("label", &annotations.labels))
}
