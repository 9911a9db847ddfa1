//! `swarm dev COMMAND [--name CLUSTER]`: a cluster on this machine, each node a network namespace
//! with its own daemon and containerd.

mod exec;
mod hidden;
mod image;
mod logs;
mod nodes;
mod partition;
mod status;
mod up;

use clap::Subcommand;
use swarm_dev::Rig;

use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Dev {
    /// Cluster of this machine
    #[arg(long, global = true, default_value = "dev", value_name = "CLUSTER")]
    name: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make a cluster, or bring up what does not run of it
    Up(up::Up),
    /// Remove a cluster with everything in it
    Down,
    /// Show the nodes
    #[command(visible_alias = "ps")]
    Status,
    /// Run a command in a node's network, against its daemon and containerd
    Exec(exec::Exec),
    /// Kill nodes' daemons by SIGKILL; tasks go on
    Kill(nodes::Kill),
    /// Start what does not run of nodes
    Start(nodes::Nodes),
    /// Stop every process of nodes, tasks included, until they are resumed
    Pause(nodes::Nodes),
    /// Let paused nodes go on
    Resume(nodes::Nodes),
    /// Cut nodes off from the others
    Partition(partition::Partition),
    /// Undo all partitions
    Heal,
    /// Show what a node's daemon wrote
    Logs(logs::Logs),
    /// Images of all nodes
    #[command(subcommand)]
    Image(image::Command),
    #[command(hide = true)]
    Run(hidden::Run),
    #[command(hide = true)]
    LogKeeper(hidden::LogKeeper),
}

pub(crate) async fn run(args: Dev, out: &mut Printer) -> anyhow::Result<()> {
    if let Command::LogKeeper(command) = args.command {
        return hidden::keep(&command);
    }
    let rig = Rig::new(&args.name)?;
    match args.command {
        Command::Up(command) => up::run(&command, &rig, out).await,
        Command::Down => {
            if !rig.down().await? {
                out.note(format_args!("there is no cluster {}", args.name));
            }
            Ok(())
        }
        Command::Status => status::run(&rig, out),
        Command::Exec(command) => exec::run(&command, &rig),
        Command::Kill(command) => Ok(rig.kill(command.nodes(), command.victim()).await?),
        Command::Start(command) => Ok(rig.start(command.nodes).await?),
        Command::Pause(command) => Ok(rig.pause(command.nodes).await?),
        Command::Resume(command) => Ok(rig.resume(command.nodes).await?),
        Command::Partition(command) => partition::run(command, &rig).await,
        Command::Heal => Ok(rig.heal().await?),
        Command::Logs(command) => logs::run(&command, &rig, out),
        Command::Image(command) => image::run(command, &rig, out).await,
        Command::Run(command) => hidden::run(&command, &rig),
        Command::LogKeeper(_) => Ok(()),
    }
}
