//! `swarm service update [OPTIONS] SERVICE`
//!
//! Changes what is named and leaves the rest. Prints the service as it was typed, then waits
//! until it runs as asked unless `--detach`.

use anyhow::Context;
use swarm_client::{Client, Consistency};
use swarm_types::Service;
use swarm_types::spec::service::{ServiceMode, ServiceSpec};

use super::rollback;
use super::settle::{self, Wait};
use crate::credentials;
use crate::flags::container;
use crate::flags::edit::Edits;
use crate::flags::grammar::{self, Words};
use crate::flags::rolling::Rolling;
use crate::flags::settings::Settings;
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Update {
    /// Image of the containers
    #[arg(long)]
    image: Option<String>,
    /// Arguments of the command, words split as by a shell
    #[arg(long, value_name = "COMMAND", value_parser = grammar::words, allow_hyphen_values = true)]
    args: Option<Words>,
    /// Number of tasks of a replicated service
    #[arg(long, value_name = "N", value_parser = grammar::count::<u64>, allow_hyphen_values = true)]
    replicas: Option<u64>,
    /// Accepted as Docker does, and changes nothing
    #[arg(long, value_name = "N", value_parser = grammar::count::<u64>, allow_hyphen_values = true)]
    max_concurrent: Option<u64>,
    #[command(flatten)]
    edits: Edits,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    rolling: Rolling,
    /// Replace all tasks, also when nothing else changes
    #[arg(long)]
    force: bool,
    /// Return to the spec before the last update; excludes all other changes
    #[arg(long)]
    rollback: bool,
    #[command(flatten)]
    wait: Wait,
    /// Pass the credentials for the image's registry to the nodes
    #[arg(long)]
    with_registry_auth: bool,
    /// Accepted; images are resolved by the nodes
    #[arg(long)]
    no_resolve_image: bool,
    /// Service by id, name or unique start of the id
    service: String,
}

pub(crate) async fn run(args: Update, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    if args.rollback {
        alone(&args)?;
        return rollback::back(&args.service, args.wait, client, out).await;
    }
    let (name, wait, with_auth) = (args.service.clone(), args.wait, args.with_registry_auth);
    let service = client.service(&name, Consistency::Linearizable).await?.value;
    let missing = args.edits.missing(&service.spec);
    let mut spec = edited(args, &service)?;
    if with_auth {
        let container = container(&mut spec)?;
        container.pull.registry_auth = credentials::of_image(&container.image).await?;
    }
    let changed = client.update_service(&service, &spec).await;
    let changed = changed.with_context(|| format!("update service {name}"))?;

    for warning in missing.iter().chain(&changed.warnings) {
        out.warn(warning);
    }
    out.line(&name)?;
    settle::settled(wait, service.id, client, out).await
}

/// Refuses what stands beside `--rollback`: the spec that comes back is whole.
fn alone(args: &Update) -> anyhow::Result<()> {
    let untouched = Update { rollback: true, wait: args.wait, ..bare(args.service.clone()) };
    anyhow::ensure!(
        format!("{args:?}") == format!("{untouched:?}"),
        "other flags may not be combined with --rollback, besides --detach and --quiet"
    );
    Ok(())
}

/// The service's spec with what the flags change.
fn edited(args: Update, service: &Service) -> anyhow::Result<ServiceSpec> {
    let mut spec = service.spec.clone();
    if let Some(wanted) = args.replicas {
        match &mut spec.mode {
            ServiceMode::Replicated { replicas } => *replicas = wanted,
            _ => anyhow::bail!("--replicas can only be used with replicated mode"),
        }
    }
    let it = container(&mut spec)?;
    if let Some(image) = args.image {
        it.image = image;
    }
    if let Some(words) = args.args {
        it.args = words.0;
    }
    args.edits.apply(&mut spec)?;
    args.settings.apply(&mut spec)?;
    args.rolling.apply(&mut spec);
    spec.task.force_update += u64::from(args.force);
    Ok(spec)
}

/// An update that changes nothing.
fn bare(service: String) -> Update {
    Update {
        image: None,
        args: None,
        replicas: None,
        max_concurrent: None,
        edits: Edits::default(),
        settings: Settings::default(),
        rolling: Rolling::default(),
        force: false,
        rollback: false,
        wait: Wait::default(),
        with_registry_auth: false,
        no_resolve_image: false,
        service,
    }
}

#[cfg(test)]
mod tests;
