//! `swarm image inspect [-f TEMPLATE] IMAGE...`

use swarm_client::Client;

use super::filter;
use crate::output::Printer;
use crate::view::json;

#[derive(clap::Args, Debug)]
pub(crate) struct Inspect {
    /// Go template for each image, as with --format
    #[arg(short = 'f', value_name = "TEMPLATE")]
    template: Option<String>,
    /// Images, by name or by the beginning of their id
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

pub(crate) async fn run(args: Inspect, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let images = client.images().await?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &args.images {
        match filter::named(&images, name) {
            Ok(image) => found.push(json::image(image, &images)),
            Err(error) => missing.push(error),
        }
    }
    out.inspect(&found, args.template.as_deref())?;
    crate::cmd::all_done(&missing)
}
