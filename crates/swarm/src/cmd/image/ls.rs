//! `swarm image ls`

use swarm_client::Client;
use swarm_types::text::{decimal_size, natural_cmp, short_id};

use crate::output::{Printer, Table};

#[derive(clap::Args, Debug)]
pub(crate) struct Ls {}

pub(crate) async fn run(_: Ls, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let mut images = client.images().await?;
    images.sort_by(|a, b| natural_cmp(&a.name, &b.name));

    let mut table = Table::new(&[("NAME", "Name"), ("IMAGE ID", "ID"), ("SIZE", "Size")]);
    for image in images {
        let id = short_id(&image.digest);
        table.row(id, [image.name.clone(), id.to_owned(), decimal_size(image.size_bytes)]);
    }
    Ok(out.table(&table)?)
}
