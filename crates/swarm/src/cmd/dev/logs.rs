//! `swarm dev logs NODE [--containerd]`

use std::fs::File;
use std::io::{ErrorKind, Read};

use anyhow::Context;
use swarm_dev::{Part, Rig};

use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Logs {
    /// Node whose daemon's log is shown
    node: String,
    /// Show containerd's instead
    #[arg(long)]
    containerd: bool,
}

pub(crate) fn run(args: &Logs, rig: &Rig, out: &mut Printer) -> anyhow::Result<()> {
    let part = if args.containerd { Part::Containerd } else { Part::Daemon };
    for path in rig.logs(&args.node, part)? {
        let reading = || format!("read {}", path.display());
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            other => other.with_context(reading)?,
        };
        let mut text = Vec::new();
        file.read_to_end(&mut text).with_context(reading)?;
        out.bytes(&text)?;
    }
    Ok(())
}
