//! `swarm service scale SERVICE=REPLICAS...`
//!
//! Prints one line per service, then waits until every service runs as asked unless `--detach`.

use swarm_client::{Client, Consistency};
use swarm_types::ServiceId;
use swarm_types::spec::service::ServiceMode;

use super::settle::{self, Wait};
use crate::flags::grammar;
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Scale {
    #[command(flatten)]
    wait: Wait,
    /// Services to scale
    #[arg(required = true, value_name = "SERVICE=REPLICAS", value_parser = parse_target)]
    targets: Vec<(String, String)>,
}

pub(crate) async fn run(args: Scale, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let (mut scaled, mut failed) = (Vec::new(), Vec::new());
    for (name, replicas) in &args.targets {
        match scale(name, replicas, client).await {
            Ok(service) => {
                out.line(format_args!("{name} scaled to {replicas}"))?;
                scaled.push(service);
            }
            Err(error) => failed.push(format!("{name}: {error:#}")),
        }
    }
    for service in scaled {
        settle::settled(args.wait, service, client, out).await?;
    }
    crate::cmd::all_done(&failed)
}

async fn scale(name: &str, replicas: &str, client: &Client) -> anyhow::Result<ServiceId> {
    let replicas = number(replicas)?;
    let service = client.service(name, Consistency::Linearizable).await?.value;
    let mut spec = service.spec.clone();
    match &mut spec.mode {
        ServiceMode::Replicated { replicas: wanted } => *wanted = replicas,
        ServiceMode::ReplicatedJob { total_completions, .. } => *total_completions = replicas,
        _ => anyhow::bail!("scale can only be used with replicated or replicated-job mode"),
    }
    Ok(client.update_service(&service, &spec).await?.service.id)
}

fn parse_target(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, replicas)) if !name.is_empty() => Ok((name.to_owned(), replicas.to_owned())),
        _ => Err(format!("invalid scale specifier '{text}': expected SERVICE=REPLICAS")),
    }
}

/// A number that is none is the failure of its service: the others are scaled.
fn number(text: &str) -> anyhow::Result<u64> {
    let invalid = |why| anyhow::anyhow!("invalid replicas value {text}: {why}");
    grammar::count(text).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_a_name_and_a_number() {
        assert_eq!(parse_target("web=3"), Ok(("web".to_owned(), "3".to_owned())));
        assert_eq!(number("3").unwrap(), 3);
        for text in ["web", "=3"] {
            assert!(parse_target(text).unwrap_err().contains(text));
        }
        for text in ["", "-1", "x"] {
            let refusal = number(text).unwrap_err().to_string();
            assert!(refusal.starts_with(&format!("invalid replicas value {text}: ")), "{refusal}");
        }
    }
}
