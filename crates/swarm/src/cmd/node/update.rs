//! `swarm node update [--availability ...] [--role ...] [--label-add K=V] [--label-rm K] NODE`
//!
//! Prints the node as it was typed.

use anyhow::Context;
use swarm_client::{Client, Consistency};
use swarm_types::spec::node::{Availability, NodeRole, NodeSpec};

use crate::flags::grammar;
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Update {
    /// active, pause (takes no more tasks) or drain (gives up those it has)
    #[arg(long, value_name = "AVAILABILITY", value_parser = grammar::availability)]
    availability: Option<Availability>,
    /// worker or manager
    #[arg(long, value_name = "ROLE", value_parser = grammar::role)]
    role: Option<NodeRole>,
    /// Label to add
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = grammar::label)]
    label_add: Vec<(String, String)>,
    /// Label to remove
    #[arg(long, value_name = "KEY")]
    label_rm: Vec<String>,
    /// Node by id, name or unique start of the id; `self` is this one
    node: String,
}

pub(crate) async fn run(args: Update, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let node = client.node(&args.node, Consistency::Linearizable).await?;
    let spec = edited(&args, &node.spec)?;
    let updated = client.update_node(&node, &spec).await;
    updated.with_context(|| format!("update node {}", args.node))?;
    Ok(out.line(&args.node)?)
}

fn edited(args: &Update, spec: &NodeSpec) -> anyhow::Result<NodeSpec> {
    let mut spec = spec.clone();
    for key in &args.label_rm {
        let removed = spec.annotations.labels.remove(key);
        anyhow::ensure!(removed.is_some(), "key {key} doesn't exist in node's labels");
    }
    spec.annotations.labels.extend(args.label_add.iter().cloned());
    if let Some(availability) = args.availability {
        spec.availability = availability;
    }
    if let Some(role) = args.role {
        spec.role = role;
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        update: Update,
    }

    fn update(flags: &[&str]) -> anyhow::Result<NodeSpec> {
        let line = Line::try_parse_from([&["update"], flags, &["m1"]].concat())?;
        let mut spec = NodeSpec::default();
        spec.annotations.labels.insert("old".into(), "1".into());
        edited(&line.update, &spec)
    }

    #[test]
    fn availability_role_and_labels_change() {
        let flags = ["--availability", "Drain", "--label-add", "a=b", "--label-rm", "old"];
        let spec = update(&[&flags[..], &["--role", "manager"]].concat()).unwrap();
        assert_eq!(spec.role, NodeRole::Manager);
        assert_eq!(spec.availability, Availability::Drain);
        assert_eq!(spec.annotations.labels.keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (flags, part) in [
            (["--availability", "off"], "--availability"),
            (["--role", "leader"], "--role"),
            (["--label-rm", "none"], "none"),
            (["--label-add", "=x"], "--label-add"),
        ] {
            let refusal = update(&flags).unwrap_err().to_string();
            assert!(refusal.contains(part), "{refusal}");
        }
    }
}
