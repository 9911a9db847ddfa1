//! `swarm image prune [-a] [-f] [--filter KEY=VALUE]`
//!
//! Every image of a node has a name: without `--all` there is nothing that Docker would call
//! dangling, and nothing is removed.

use anyhow::Context;
use swarm_client::{Client, ImageRemoval};
use swarm_types::Timestamp;

use super::{filter, rm};
use crate::cmd::prune::{confirmed, outrun};
use crate::output::Printer;
use crate::view::filter::{FilterArgs, Filters, parse};
use crate::view::moment;

#[derive(clap::Args, Debug)]
pub(crate) struct Prune {
    /// Remove all images that no container was made of, not only those without a name
    #[arg(long, short)]
    all: bool,
    /// Do not ask
    #[arg(long, short)]
    force: bool,
    // Without -f, which is --force here.
    /// Remove only what matches KEY=VALUE; may be repeated
    #[arg(long = "filter", value_name = "KEY=VALUE", value_parser = parse)]
    filters: Vec<(String, String)>,
}

pub(crate) async fn run(args: Prune, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let filters = FilterArgs::new(args.filters).of(&["label", "label!", "until"])?;
    let until = made_before(&filters, Timestamp::now())?;
    if !args.force {
        let which = if args.all {
            "all images without at least one container associated to them"
        } else {
            "all dangling images"
        };
        confirmed(which, "image", out)?;
    }
    let mut images = client.images().await?;
    images.retain(|it| {
        args.all
            && it.containers == 0
            && filter::labelled(&filters, &it.labels)
            && until.is_none_or(|until| it.created_at_ns.unwrap_or(0) < until.0)
    });
    let mut failed = Vec::new();
    for image in &images {
        match client.remove_image(&image.name, ImageRemoval::Careful).await {
            Ok(removed) => rm::tell(&removed, out)?,
            Err(why) if outrun(&why) => {}
            Err(why) => failed.push(why),
        }
    }
    if images.is_empty() {
        out.note(if args.all {
            "no unused images"
        } else {
            "no images without a name; --all removes those that no container was made of"
        });
    }
    crate::cmd::all_done(&failed)
}

/// What `until` says: a time, or how long before `now`.
fn made_before(filters: &Filters, now: Timestamp) -> anyhow::Result<Option<Timestamp>> {
    let mut given = filters.values("until");
    let Some(first) = given.next() else { return Ok(None) };
    anyhow::ensure!(given.next().is_none(), "more than one until filter specified");
    let moment = moment::parse(first).map_err(anyhow::Error::msg);
    let moment = moment.with_context(|| format!("invalid filter 'until={first}'"))?;
    Ok(Some(moment.at(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_is_one_moment() {
        let until = |values: &[&str]| {
            let given = values.iter().map(|value| ("until".to_owned(), (*value).to_owned()));
            let filters = FilterArgs::new(given.collect()).of(&["until"]).unwrap();
            made_before(&filters, Timestamp(90_000_000_000)).map_err(|error| format!("{error:#}"))
        };

        assert_eq!(until(&[]), Ok(None));
        assert_eq!(until(&["1m"]), Ok(Some(Timestamp(30_000_000_000))));
        assert_eq!(until(&["1970-01-01T00:00:10Z"]), Ok(Some(Timestamp(10_000_000_000))));
        assert!(until(&["soon"]).unwrap_err().starts_with("invalid filter 'until=soon': "));
        assert!(until(&["1m", "2m"]).is_err());
    }
}
