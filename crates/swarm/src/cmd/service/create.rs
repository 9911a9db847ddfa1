//! `swarm service create [OPTIONS] IMAGE [COMMAND] [ARG...]`
//!
//! Prints the new service's id, then waits until it runs unless `--detach`.

use std::time::Duration;

use anyhow::Context;
use swarm_client::Client;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::service::{ServiceMode, ServiceSpec};
use swarm_types::spec::task::{
    NetworkAttachmentConfig, NetworkTarget, RestartCondition, RestartPolicy, TaskRuntime, TaskSpec,
};
use swarm_types::spec::{
    Annotations, task::Limits, task::Placement, task::Reservations, task::Resources,
};
use swarm_types::text::{parse_bytes, parse_cpus, parse_duration};

use super::settle::{self, Wait};
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Create {
    /// Name of the service; one is made up when left out
    #[arg(long, default_value = "")]
    name: String,
    /// Number of tasks
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    replicas: u64,
    /// At most that many tasks per node; 0 means unlimited
    #[arg(long, default_value_t = 0, value_name = "N")]
    replicas_max_per_node: u64,
    /// Label of the service
    #[arg(long, short, value_name = "KEY[=VALUE]", value_parser = parse_label)]
    label: Vec<(String, String)>,
    /// Label of the containers
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = parse_label)]
    container_label: Vec<(String, String)>,
    /// Environment variable; KEY alone takes the value from this environment
    #[arg(long, short, value_name = "KEY[=VALUE]")]
    env: Vec<String>,
    /// Working directory
    #[arg(long, short, default_value = "")]
    workdir: String,
    /// User and group: names or numbers
    #[arg(long, short, default_value = "", value_name = "USER[:GROUP]")]
    user: String,
    /// Replaces the image's entry point, words split as by a shell
    #[arg(long, default_value = "", value_name = "COMMAND", value_parser = parse_words)]
    entrypoint: Words,
    /// Network the tasks are attached to
    #[arg(long, value_name = "NETWORK")]
    network: Vec<String>,
    /// Signal that asks a container to stop
    #[arg(long, default_value = "", value_name = "SIGNAL")]
    stop_signal: String,
    /// Time between the stop signal and SIGKILL [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    stop_grace_period: Option<Duration>,
    /// Most CPUs a task may use
    #[arg(long, value_name = "CPUS", value_parser = parse_cpus)]
    limit_cpu: Option<i64>,
    /// Most memory a task may use
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    limit_memory: Option<i64>,
    /// Most processes of a task; 0 means unlimited
    #[arg(long, default_value_t = 0, value_name = "N", allow_negative_numbers = true)]
    limit_pids: i64,
    /// CPUs the scheduler sets aside for a task
    #[arg(long, value_name = "CPUS", value_parser = parse_cpus)]
    reserve_cpu: Option<i64>,
    /// Memory the scheduler sets aside for a task
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    reserve_memory: Option<i64>,
    /// When an ended task is replaced
    #[arg(long, value_name = "none|on-failure|any", value_parser = parse_condition)]
    restart_condition: Option<RestartCondition>,
    /// Pause before a replacement starts [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    restart_delay: Option<Duration>,
    /// Replacements per slot; 0 means unlimited
    #[arg(long, default_value_t = 0, value_name = "N")]
    restart_max_attempts: u64,
    /// Window in which attempts count; 0s means all of them
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    restart_window: Option<Duration>,
    #[command(flatten)]
    wait: Wait,
    /// Image of the containers
    image: String,
    /// Command and arguments; replace the image's
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Words of a command line.
#[derive(Clone, Debug, Default)]
struct Words(Vec<String>);

pub(crate) async fn run(args: Create, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let wait = args.wait;
    let networks = args.network.iter().map(|name| network(name)).collect::<Result<_, _>>()?;
    let created = client.create_service(&spec(args, networks)).await.context("create service")?;

    for warning in &created.warnings {
        out.warn(warning);
    }
    out.line(created.service.id)?;
    settle::settled(wait, created.service.id, client, out).await
}

/// Docker's names of the two networks that every node has.
fn network(name: &str) -> anyhow::Result<NetworkAttachmentConfig> {
    let target = match name {
        "host" => NetworkTarget::Host,
        "none" => NetworkTarget::None,
        other => anyhow::bail!("network {other} not found: this version has `host` only"),
    };
    Ok(NetworkAttachmentConfig { target, ..NetworkAttachmentConfig::default() })
}

fn spec(args: Create, networks: Vec<NetworkAttachmentConfig>) -> ServiceSpec {
    let restart = restart(&args);
    let resources = resources(&args);
    let placement = Placement { max_replicas: args.replicas_max_per_node, ..Placement::default() };
    let labels = args.label.iter().cloned().collect();
    ServiceSpec {
        annotations: Annotations { name: args.name.clone(), labels },
        mode: ServiceMode::Replicated { replicas: args.replicas },
        task: TaskSpec {
            runtime: TaskRuntime::Container(Box::new(container(args))),
            resources,
            restart,
            placement,
            networks,
            ..TaskSpec::default()
        },
        ..ServiceSpec::default()
    }
}

fn container(args: Create) -> ContainerSpec {
    ContainerSpec {
        image: args.image,
        command: args.entrypoint.0,
        args: args.args,
        env: args.env.into_iter().map(from_environment).collect(),
        dir: args.workdir,
        user: args.user,
        labels: args.container_label.into_iter().collect(),
        stop_signal: args.stop_signal,
        stop_grace_period: args
            .stop_grace_period
            .unwrap_or(swarm_types::defaults::STOP_GRACE_PERIOD),
        ..ContainerSpec::default()
    }
}

/// `KEY` alone takes its value from this process, and stays as it is when there is none.
fn from_environment(variable: String) -> String {
    if variable.contains('=') {
        return variable;
    }
    match std::env::var(&variable) {
        Ok(value) => format!("{variable}={value}"),
        Err(_) => variable,
    }
}

fn restart(args: &Create) -> RestartPolicy {
    let default = RestartPolicy::default();
    RestartPolicy {
        condition: args.restart_condition.unwrap_or(default.condition),
        delay: args.restart_delay.unwrap_or(default.delay),
        max_attempts: args.restart_max_attempts,
        window: args.restart_window.unwrap_or(default.window),
    }
}

fn resources(args: &Create) -> Resources {
    Resources {
        limits: Limits {
            nano_cpus: args.limit_cpu.unwrap_or(0),
            memory_bytes: args.limit_memory.unwrap_or(0),
            pids: args.limit_pids,
        },
        reservations: Reservations {
            nano_cpus: args.reserve_cpu.unwrap_or(0),
            memory_bytes: args.reserve_memory.unwrap_or(0),
            generic: Vec::new(),
        },
        ..Resources::default()
    }
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        return Err("a label needs a key: KEY or KEY=VALUE".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn parse_condition(text: &str) -> Result<RestartCondition, String> {
    match text {
        "none" => Ok(RestartCondition::None),
        "on-failure" => Ok(RestartCondition::OnFailure),
        "any" => Ok(RestartCondition::Any),
        _ => Err("one of none, on-failure, any".to_owned()),
    }
}

fn parse_words(text: &str) -> Result<Words, String> {
    shlex::split(text).map(Words).ok_or_else(|| "a quote is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        create: Create,
    }

    fn parse(line: &[&str]) -> Result<Create, clap::Error> {
        Line::try_parse_from([&["create"], line].concat()).map(|line| line.create)
    }

    #[test]
    fn flags_after_the_image_belong_to_the_command() {
        let create = parse(&["--replicas", "3", "web:1", "sh", "-c", "--replicas"]).unwrap();

        let spec = spec(create, Vec::new());

        assert_eq!(spec.mode, ServiceMode::Replicated { replicas: 3 });
        let container = spec.task.container().unwrap();
        assert_eq!((container.image.as_str(), container.args.len()), ("web:1", 3));
    }

    #[test]
    fn malformed_values_are_refused_with_the_flag() {
        for (flag, value) in [
            ("--replicas", "-1"),
            ("--label", "=x"),
            ("--limit-memory", "lots"),
            ("--limit-cpu", "0.00000000001"),
            ("--stop-grace-period", "10"),
            ("--restart-condition", "always"),
            ("--entrypoint", "sh 'open"),
        ] {
            let refusal = parse(&[flag, value, "web"]).unwrap_err().to_string();
            assert!(refusal.contains(flag), "{refusal}");
        }
    }

    #[test]
    fn unknown_networks_are_refused() {
        assert!(network("host").is_ok());
        assert!(network("backend").unwrap_err().to_string().contains("backend"));
    }
}
