//! `swarm image ls`

use swarm_client::Client;
use swarm_types::text::{decimal_size, natural_cmp};

use crate::output::{Printer, Table};
use crate::view::short;

#[derive(clap::Args, Debug)]
pub(crate) struct Ls {}

pub(crate) async fn run(_: Ls, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let mut images = client.images().await?;
    images.sort_by(|a, b| natural_cmp(&a.name, &b.name));

    let mut table = Table::new(&[("NAME", "Name"), ("IMAGE ID", "ID"), ("SIZE", "Size")]);
    for image in images {
        let digest = image.digest.trim_start_matches("sha256:");
        table.row(
            &image.digest,
            [image.name.clone(), short(digest), decimal_size(image.size_bytes)],
        );
    }
    Ok(out.table(&table)?)
}
