//! `swarm update [--autolock[=false]] [--task-history-limit N] ...`
//!
//! Changes settings of the cluster; without any, explains itself.

use swarm_client::Client;

use crate::cmd::{help, unlock_key};
use crate::flags::cluster::ClusterFlags;
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Update {
    /// Managers need the unlock key after a restart
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    autolock: Option<bool>,
    #[command(flatten)]
    flags: ClusterFlags,
}

pub(crate) async fn run(args: Update, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    if args.autolock.is_none() && args.flags.is_empty() {
        return help::run(&help::Help::of("update"), out);
    }
    let cluster = client.cluster().await?;
    let mut spec = cluster.spec.clone();
    args.flags.apply(&mut spec)?;
    spec.autolock = args.autolock.unwrap_or(spec.autolock);
    client.update_cluster(&cluster, &spec).await?;
    out.line("Swarm updated.")?;
    if spec.autolock && !cluster.spec.autolock {
        let key = client.unlock_key().await?;
        out.line(format_args!("\n{}", unlock_key::Command(&key)))?;
    }
    Ok(())
}
