//! What a cluster's processes are started through; not for people.
//!
//! `swarm dev run NODE daemon|containerd` becomes that part of a node; `swarm dev log-keeper FILE`
//! copies its input to a log of bounded size.

use std::path::PathBuf;

use clap::ValueEnum;
use swarm_dev::{Rig, keep_log};

#[derive(clap::Args, Debug)]
pub(crate) struct Run {
    node: String,
    #[arg(value_enum)]
    part: Part,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Part {
    Daemon,
    Containerd,
}

#[derive(clap::Args, Debug)]
pub(crate) struct LogKeeper {
    file: PathBuf,
}

pub(crate) fn run(args: &Run, rig: &Rig) -> anyhow::Result<()> {
    let part = match args.part {
        Part::Daemon => swarm_dev::Part::Daemon,
        Part::Containerd => swarm_dev::Part::Containerd,
    };
    let Err(error) = rig.run(&args.node, part);
    Err(error.into())
}

pub(crate) fn keep(args: &LogKeeper) -> anyhow::Result<()> {
    keep_log(std::io::stdin().lock(), &args.file);
    Ok(())
}
