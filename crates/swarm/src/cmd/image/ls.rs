//! `swarm image ls`

use swarm_client::Client;
use swarm_types::text::{decimal_size, natural_cmp, short_id};

use crate::output::{List, ListKind, Printer, Row};

static KIND: ListKind = ListKind {
    table: "{{.Name}}\t{{.ID}}\t{{.Size}}",
    headers: &[("Name", "NAME"), ("ID", "IMAGE ID"), ("Size", "SIZE")],
    raw: &[("name", "{{.Name}}"), ("id", "{{.ID}}"), ("size", "{{.Size}}")],
    quiet: "{{.ID}}",
    config_key: "imagesFormat",
};

#[derive(clap::Args, Debug)]
pub(crate) struct Ls {}

pub(crate) async fn run(_: Ls, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let mut images = client.images().await?;
    images.sort_by(|a, b| natural_cmp(&a.name, &b.name));

    let row = |image: swarm_client::Image| {
        Row::new([
            ("Name", image.name),
            ("ID", short_id(&image.digest).to_owned()),
            ("Size", decimal_size(image.size_bytes)),
        ])
    };
    out.list(&List::new(&KIND, images.into_iter().map(row).collect()))
}
