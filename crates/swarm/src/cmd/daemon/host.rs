//! `swarm daemon --check` and `--purge`: what this host has, and clearing it of the node.

use anyhow::Context;
use swarm_node::{Finding, Options, Purge};

use crate::output::Printer;

/// Says what was looked at; fails when something needed is missing.
pub(super) async fn check(options: &Options, out: &mut Printer) -> anyhow::Result<()> {
    let mut lacks = 0;
    for finding in swarm_node::check(options).await {
        match finding {
            Finding::Fine { what } => out.line(format_args!("ok       {what}"))?,
            Finding::Hint { what, fix } => {
                out.line(format_args!("hint     {what}\n         fix: {fix}"))?;
            }
            Finding::Lack { what, fix } => {
                lacks += 1;
                out.line(format_args!("missing  {what}\n         fix: {fix}"))?;
            }
        }
    }
    anyhow::ensure!(lacks == 0, "this host lacks what a node needs: {lacks} of the above");
    Ok(())
}

/// Says what was removed, also when it fails in the end.
pub(super) async fn purge(options: &Options, out: &mut Printer) -> anyhow::Result<()> {
    let (mut written, mut nothing) = (Ok(()), true);
    let purged = swarm_node::purge(options, |met| {
        nothing = false;
        if written.is_ok() {
            written = match met {
                Purge::Removed(what) => out.line(format_args!("removed: {what}")),
                Purge::Left(dir) => out.line(format_args!("left: {dir}, which holds other files")),
            };
        }
    });
    purged.await.context("purge")?;
    written?;
    if nothing {
        out.line("nothing to remove: no daemon with these settings left anything on this host")?;
    }
    Ok(())
}
