//! The commands, one file each: its usage, its options, and what it does, top down.

mod ca;
mod completion;
mod daemon;
mod dev;
mod events;
mod exec;
mod explain;
mod help;
mod image;
mod info;
mod init;
mod join;
mod join_token;
mod leave;
mod logs;
mod node;
mod prune;
mod ps;
mod service;
mod stats;
mod task;
mod unlock;
mod unlock_key;
mod update;
mod version;
mod volume;

use clap::Subcommand;
use swarm_client::Client;

use crate::options::Cli;
use crate::output::Printer;

/// A command.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a node
    Daemon(daemon::Daemon),
    /// Found a cluster with this node as its first manager
    Init(init::Init),
    /// Join a cluster with this node
    Join(join::Join),
    /// Show or rotate what nodes join with
    JoinToken(join_token::Token),
    /// Leave the cluster with this node
    Leave(leave::Leave),
    /// Change settings of the cluster
    Update(update::Update),
    /// Unlock this manager after it was restarted
    Unlock(unlock::Unlock),
    /// Show or rotate what unlocks managers
    UnlockKey(unlock_key::UnlockKey),
    /// Print the root certificate of the cluster
    Ca(ca::Ca),
    /// Show this node and its cluster
    Info(info::Info),
    /// Nodes of the cluster
    #[command(subcommand)]
    Node(node::Command),
    /// Images of this node
    #[command(subcommand)]
    Image(image::Command),
    /// Services
    #[command(subcommand)]
    Service(service::Command),
    /// Named volumes of this node
    #[command(subcommand)]
    Volume(volume::Command),
    /// List the live tasks of all services
    Ps(ps::Ps),
    /// Show what a task wrote
    Logs(logs::TaskLogs),
    /// Run a command beside a task's process
    Exec(exec::Exec),
    /// Show how much the tasks of this node use
    Stats(stats::Stats),
    /// Show what happens in the cluster, from now on
    Events(events::Events),
    /// Show what each node thinks of a task
    Explain(explain::Explain),
    /// A cluster on this machine
    Dev(dev::Dev),
    /// Print a script that completes commands in a shell
    Completion(completion::Completion),
    /// Show the versions of this program and of the node
    Version(version::Version),
    /// Explain a command
    Help(help::Help),
}

pub(crate) async fn run(cli: Cli, out: &mut Printer) -> anyhow::Result<()> {
    let client = || Client::unix(&cli.global.socket());
    match cli.command {
        Command::Daemon(command) => daemon::run(command, &cli.global, out).await,
        Command::Completion(command) => completion::run(&command, out),
        Command::Help(command) => help::run(&command, out),
        Command::Version(command) => version::run(command, &client(), out).await,
        Command::Dev(command) => dev::run(command, out).await,
        Command::Init(command) => init::run(command, &client(), out).await,
        Command::Join(command) => join::run(command, &client(), out).await,
        Command::JoinToken(command) => join_token::run(command, &client(), out).await,
        Command::Leave(command) => leave::run(command, &client(), out).await,
        Command::Update(command) => update::run(command, &client(), out).await,
        Command::Unlock(command) => unlock::run(command, &client(), out).await,
        Command::UnlockKey(command) => unlock_key::run(command, &client(), out).await,
        Command::Ca(command) => ca::run(command, &client(), out).await,
        Command::Info(command) => info::run(command, &client(), out).await,
        Command::Node(command) => node::run(command, &client(), out).await,
        Command::Image(command) => image::run(command, &client(), out).await,
        Command::Service(command) => service::run(command, &client(), out).await,
        Command::Volume(command) => volume::run(command, &client(), out).await,
        Command::Ps(command) => ps::run(command, &client(), out).await,
        Command::Logs(command) => logs::run(command, &client(), out).await,
        Command::Exec(command) => exec::run(command, &client(), out).await,
        Command::Stats(command) => stats::run(command, &client(), out).await,
        Command::Events(command) => events::run(command, &client(), out).await,
        Command::Explain(command) => explain::run(command, &client(), out).await,
    }
}

/// Fails with every error on a line of its own, after what could be done was done.
fn all_done(failed: &[impl ToString]) -> anyhow::Result<()> {
    if failed.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = failed.iter().map(ToString::to_string).collect();
    anyhow::bail!(lines.join("\n"))
}
