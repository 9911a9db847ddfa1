//! The commands, one file each: its usage, its options, and what it does, top down.

mod daemon;
mod image;
mod info;
mod init;
mod node;
mod ps;
mod service;

use clap::Subcommand;
use swarm_client::Client;

use crate::options::{Cli, Global};
use crate::output::Printer;

/// A command.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a node
    Daemon(daemon::Daemon),
    /// Found a cluster with this node as its first manager
    Init(init::Init),
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
    /// List the live tasks of all services
    Ps(ps::Ps),
}

pub(crate) async fn run(cli: Cli, out: &mut Printer) -> anyhow::Result<()> {
    match cli.command {
        Command::Daemon(command) => daemon::run(command, &cli.global).await,
        Command::Init(command) => init::run(command, &connect(&cli.global), out).await,
        Command::Info(command) => info::run(command, &connect(&cli.global), out).await,
        Command::Node(command) => node::run(command, &connect(&cli.global), out).await,
        Command::Image(command) => image::run(command, &connect(&cli.global), out).await,
        Command::Service(command) => service::run(command, &connect(&cli.global), out).await,
        Command::Ps(command) => ps::run(command, &connect(&cli.global), out).await,
    }
}

fn connect(global: &Global) -> Client {
    Client::unix(&global.socket)
}
