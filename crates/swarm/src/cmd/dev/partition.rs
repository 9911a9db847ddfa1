//! `swarm dev partition NODE[,NODE...] [--from NODE,...] [--one-way in|out]`

use clap::ValueEnum;
use swarm_dev::{Direction, Rig};

#[derive(clap::Args, Debug)]
pub(crate) struct Partition {
    /// Nodes to cut off; they still reach each other
    #[arg(required = true, value_name = "NODE", value_delimiter = ',')]
    nodes: Vec<String>,
    /// Cut them off from these only [default: all others]
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    from: Vec<String>,
    /// Lose only what comes in to them, or what goes out
    #[arg(long, value_enum)]
    one_way: Option<OneWay>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum OneWay {
    In,
    Out,
}

pub(crate) async fn run(args: Partition, rig: &Rig) -> anyhow::Result<()> {
    let direction = match args.one_way {
        None => Direction::Both,
        Some(OneWay::In) => Direction::In,
        Some(OneWay::Out) => Direction::Out,
    };
    Ok(rig.partition(args.nodes, args.from, direction).await?)
}
