//! `swarm init [--advertise-addr IP|INTERFACE[:PORT]] [--availability ...] [--autolock] ...`, and
//! `swarm init --force-new-cluster [--advertise-addr ...]`.
//!
//! Prints the new node's id, and the command that joins a worker.

use anyhow::Context;
use swarm_client::{Client, Founded};
use swarm_types::spec::cluster::ClusterSpec;
use swarm_types::spec::node::{Availability, NodeRole};

use crate::cmd::join_token::Command;
use crate::cmd::unlock_key;
use crate::flags::cluster::ClusterFlags;
use crate::flags::grammar;
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Init {
    /// Address the other nodes reach this one at; the only one of this host when left out
    #[arg(long, default_value = "", value_name = "IP|INTERFACE[:PORT]", hide_default_value = true)]
    advertise_addr: String,
    /// active, pause (takes no tasks) or drain (the same, and gives up those it has)
    #[arg(
        long,
        default_value = "active",
        value_name = "AVAILABILITY",
        value_parser = grammar::availability
    )]
    availability: Availability,
    /// Managers need the unlock key after a restart
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true"
    )]
    autolock: bool,
    /// Makes a cluster of one of what this manager holds, when the others are lost for good
    #[arg(long, conflicts_with_all = ["availability", "autolock"])]
    force_new_cluster: bool,
    #[command(flatten)]
    flags: ClusterFlags,
    #[command(flatten)]
    later: Later,
}

/// Docker's flags that are refused by name.
#[derive(clap::Args, Debug)]
struct Later {
    /// Address to listen on (not taken here: `swarm daemon --listen-addr` sets it)
    #[arg(long, value_name = "IP:PORT")]
    listen_addr: Option<String>,
    /// Address or interface of the traffic between nodes (not supported yet)
    #[arg(long, value_name = "IP|INTERFACE")]
    data_path_addr: Option<String>,
    /// Port of the traffic between nodes (not supported yet)
    #[arg(long, value_name = "PORT")]
    data_path_port: Option<String>,
    /// Subnets that networks are taken from (not supported yet)
    #[arg(long, value_name = "CIDR")]
    default_addr_pool: Vec<String>,
    /// Size of those networks (not supported yet)
    #[arg(long, value_name = "BITS")]
    default_addr_pool_mask_length: Option<String>,
}

impl Later {
    fn refuse(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.listen_addr.is_none(),
            "not supported yet: --listen-addr; pass --listen-addr to `swarm daemon`"
        );
        for (flag, is_given) in [
            ("--data-path-addr", self.data_path_addr.is_some()),
            ("--data-path-port", self.data_path_port.is_some()),
            ("--default-addr-pool", !self.default_addr_pool.is_empty()),
            ("--default-addr-pool-mask-length", self.default_addr_pool_mask_length.is_some()),
        ] {
            anyhow::ensure!(!is_given, "not supported yet: {flag}");
        }
        Ok(())
    }
}

pub(crate) async fn run(args: Init, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    args.later.refuse()?;
    if args.force_new_cluster {
        anyhow::ensure!(
            args.flags.is_empty(),
            "--force-new-cluster keeps the settings of the cluster: change them with `swarm update`"
        );
        let forced = client.force_new(&args.advertise_addr).await.context("force a new cluster")?;
        return told(&forced, out);
    }
    let mut spec = ClusterSpec { autolock: args.autolock, ..ClusterSpec::default() };
    args.flags.apply(&mut spec)?;
    let founded = client.init_with(&args.advertise_addr, args.availability, &spec).await;
    let founded = founded.context("found a cluster")?;
    told(&founded, out)?;
    if args.autolock && !out.quiet() {
        out.line(format_args!("\n{}", unlock_key::Command(&founded.unlock_key)))?;
    }
    Ok(())
}

fn told(founded: &Founded, out: &mut Printer) -> anyhow::Result<()> {
    if out.quiet() {
        return Ok(out.line(founded.node)?);
    }
    out.line(format_args!(
        "Swarm initialized: current node ({}) is now a manager.\n",
        founded.node
    ))?;
    out.line(Command { role: NodeRole::Worker, token: &founded.worker })?;
    let next = "swarm join-token manager";
    out.line(format_args!("To add a manager to this swarm, run '{next}' and follow its words."))?;
    Ok(())
}
