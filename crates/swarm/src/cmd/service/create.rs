//! `swarm service create [OPTIONS] IMAGE [COMMAND] [ARG...]`
//!
//! Prints the new service's id, then waits until it runs unless `--detach`.

use anyhow::Context;
use swarm_client::Client;
use swarm_types::spec::service::{ServiceMode, ServiceSpec};

use super::settle::{self, Wait};
use crate::credentials;
use crate::flags::container;
use crate::flags::grammar::{self, word};
use crate::flags::lists::Lists;
use crate::flags::rolling::Rolling;
use crate::flags::settings::Settings;
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Create {
    /// Name of the service; one is made up when left out
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// replicated, global, replicated-job or global-job [default: replicated]
    #[arg(long, value_name = "MODE", value_parser = mode)]
    mode: Option<Mode>,
    /// Number of tasks [default: 1]
    #[arg(long, value_name = "N", value_parser = grammar::count::<u64>, allow_hyphen_values = true)]
    replicas: Option<u64>,
    /// Tasks of a job that run at once [default: its replicas]
    #[arg(long, value_name = "N", value_parser = grammar::count::<u64>, allow_hyphen_values = true)]
    max_concurrent: Option<u64>,
    #[command(flatten)]
    lists: Lists,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    rolling: Rolling,
    #[command(flatten)]
    wait: Wait,
    /// Pass the credentials for the image's registry to the nodes
    #[arg(long)]
    with_registry_auth: bool,
    /// Accepted; images are resolved by the nodes
    #[arg(long)]
    no_resolve_image: bool,
    /// Image of the containers
    image: String,
    /// Command and arguments; replace the image's
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// A mode, without its numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Replicated,
    Global,
    ReplicatedJob,
    GlobalJob,
}

pub(crate) async fn run(args: Create, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let wait = args.wait;
    let with_auth = args.with_registry_auth;
    let mut spec = spec(args)?;
    if with_auth {
        let container = container(&mut spec)?;
        container.pull.registry_auth = credentials::of_image(&container.image).await?;
    }
    let created = client.create_service(&spec).await.context("create service")?;

    for warning in &created.warnings {
        out.warn(warning);
    }
    out.line(created.service.id)?;
    settle::settled(wait, created.service.id, client, out).await
}

/// What the flags ask for.
fn spec(args: Create) -> anyhow::Result<ServiceSpec> {
    let mut spec = ServiceSpec { mode: service_mode(&args)?, ..ServiceSpec::default() };
    let is_job = spec.mode.is_job();
    anyhow::ensure!(
        !is_job || !args.rolling.is_given(),
        "--update-* and --rollback-* are not for jobs: jobs do not roll"
    );
    spec.annotations.name = args.name;
    args.lists.apply(&mut spec)?;
    args.settings.apply(&mut spec)?;
    args.rolling.apply(&mut spec);
    let it = container(&mut spec)?;
    it.image = args.image;
    it.args = args.args;
    Ok(spec)
}

fn service_mode(args: &Create) -> anyhow::Result<ServiceMode> {
    let mode = args.mode.unwrap_or(Mode::Replicated);
    let counted = matches!(mode, Mode::Replicated | Mode::ReplicatedJob);
    anyhow::ensure!(
        counted || args.replicas.is_none(),
        "--replicas can only be used with replicated or replicated-job mode"
    );
    anyhow::ensure!(
        mode == Mode::ReplicatedJob || args.max_concurrent.is_none(),
        "--max-concurrent can only be used with replicated-job mode"
    );
    let replicas = args.replicas.unwrap_or(1);
    Ok(match mode {
        Mode::Replicated => ServiceMode::Replicated { replicas },
        Mode::Global => ServiceMode::Global,
        Mode::ReplicatedJob => ServiceMode::ReplicatedJob {
            max_concurrent: args.max_concurrent.unwrap_or(replicas),
            total_completions: replicas,
        },
        Mode::GlobalJob => ServiceMode::GlobalJob,
    })
}

fn mode(text: &str) -> Result<Mode, String> {
    word(
        text,
        &[
            ("replicated", Mode::Replicated),
            ("global", Mode::Global),
            ("replicated-job", Mode::ReplicatedJob),
            ("global-job", Mode::GlobalJob),
        ],
    )
}

#[cfg(test)]
mod tests;
