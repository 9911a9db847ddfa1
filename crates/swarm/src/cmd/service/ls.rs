//! `swarm service ls [--stale]`

use swarm_client::{Client, ServiceRow};
use swarm_types::spec::service::ServiceMode;
use swarm_types::text::{natural_cmp, short_id};

use crate::output::{Printer, Table};
use crate::view::{ReadArgs, familiar};

#[derive(clap::Args, Debug)]
pub(crate) struct Ls {
    #[command(flatten)]
    read: ReadArgs,
}

pub(crate) async fn run(args: Ls, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let mut rows = args.read.unwrap(client.services(args.read.consistency()).await?, out);
    rows.sort_by(|a, b| natural_cmp(name(a), name(b)));

    let mut table = Table::new(&[
        ("ID", "ID"),
        ("NAME", "Name"),
        ("MODE", "Mode"),
        ("REPLICAS", "Replicas"),
        ("IMAGE", "Image"),
        ("PORTS", "Ports"),
    ]);
    for row in &rows {
        let image = row.service.spec.task.container().map_or("", |it| it.image.as_str());
        table.row(
            short_id(row.service.id.as_str()),
            [
                short_id(row.service.id.as_str()).to_owned(),
                name(row).to_owned(),
                mode(row.service.spec.mode).to_owned(),
                replicas(row),
                familiar(image),
                String::new(),
            ],
        );
    }
    Ok(out.table(&table)?)
}

fn name(row: &ServiceRow) -> &str {
    &row.service.spec.annotations.name
}

const fn mode(mode: ServiceMode) -> &'static str {
    match mode {
        ServiceMode::Replicated { .. } => "replicated",
        ServiceMode::Global => "global",
        ServiceMode::ReplicatedJob { .. } => "replicated job",
        ServiceMode::GlobalJob => "global job",
    }
}

fn replicas(row: &ServiceRow) -> String {
    let counts = format!("{}/{}", row.running, row.desired);
    match row.service.spec.task.placement.max_replicas {
        0 => counts,
        most => format!("{counts} (max {most} per node)"),
    }
}
