//! `swarm dev up [--managers N] [--workers N]`
//!
//! Shows the nodes once they are a cluster.

use swarm_dev::{Rig, Shape};

use super::status;
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Up {
    /// Nodes that hold the cluster's state
    #[arg(long, default_value_t = 1, value_name = "N")]
    managers: u8,
    /// Nodes that only run tasks
    #[arg(long, default_value_t = 2, value_name = "N")]
    workers: u8,
}

pub(crate) async fn run(args: &Up, rig: &Rig, out: &mut Printer) -> anyhow::Result<()> {
    rig.up(Shape { managers: args.managers, workers: args.workers }).await?;
    status::run(rig, out)
}
