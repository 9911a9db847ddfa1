//! `swarm leave [--force]`
//!
//! Ends the tasks of this node and makes it forget its swarm, which keeps it listed as down until
//! `swarm node rm`. Ends with 1 when it left and the other managers may count it still: something
//! is left to do there.

use anyhow::bail;
use swarm_client::{Client, Leaving};

use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Leave {
    /// Leave also as a manager, and lose what only this one holds
    #[arg(long, short)]
    force: bool,
}

pub(crate) async fn run(args: Leave, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let counted = client.leave(if args.force { Leaving::Forced } else { Leaving::Asked }).await?;
    out.line("Node left the swarm.")?;
    match counted {
        Some(counted) => bail!(counted),
        None => Ok(()),
    }
}
