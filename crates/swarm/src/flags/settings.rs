//! Flags that set one value each, the same for a new service and for one that is there.

use std::time::Duration;

use swarm_types::spec::Driver;
use swarm_types::spec::container::{CredentialSpec, HealthConfig, Isolation};
use swarm_types::spec::service::{EndpointMode, ServiceSpec};
use swarm_types::spec::task::RestartCondition;
use swarm_types::text::parse_cpus;

use super::container;
use super::grammar::{self, Words, word};

#[derive(clap::Args, Debug, Default)]
pub(crate) struct Settings {
    #[command(flatten)]
    process: Process,
    #[command(flatten)]
    resources: Resources,
    #[command(flatten)]
    restart: Restart,
    #[command(flatten)]
    health: Health,
    #[command(flatten)]
    placing: Placing,
}

#[derive(clap::Args, Debug, Default)]
struct Process {
    /// Working directory
    #[arg(long, short)]
    workdir: Option<String>,
    /// User and group: names or numbers
    #[arg(long, short, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Host name; may be a template
    #[arg(long)]
    hostname: Option<String>,
    /// Replaces the image's entry point, words split as by a shell
    #[arg(long, value_name = "COMMAND", value_parser = grammar::words)]
    entrypoint: Option<Words>,
    /// Allocate a terminal
    #[arg(long, short, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    tty: Option<bool>,
    /// Mount the root file system read-only
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    read_only: Option<bool>,
    /// Run an init process as pid 1
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    init: Option<bool>,
    /// Signal that asks a container to stop
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// Time between the stop signal and SIGKILL [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = grammar::duration, allow_hyphen_values = true)]
    stop_grace_period: Option<Duration>,
    /// Isolation technology: default, process, hyperv
    #[arg(long, value_name = "NAME", value_parser = isolation)]
    isolation: Option<Isolation>,
    /// Windows credential spec: file://NAME, registry://NAME; empty removes it
    #[arg(long, value_name = "SPEC", value_parser = credential_spec)]
    credential_spec: Option<Credentials>,
}

/// `None` removes it.
#[derive(Clone, Debug)]
struct Credentials(Option<CredentialSpec>);

#[derive(clap::Args, Debug, Default)]
struct Resources {
    /// Most CPUs a task may use; 0 means no limit
    #[arg(long, value_name = "CPUS", value_parser = parse_cpus, allow_hyphen_values = true)]
    limit_cpu: Option<i64>,
    /// Most memory a task may use; 0 means no limit
    #[arg(long, value_name = "BYTES", value_parser = grammar::bytes, allow_hyphen_values = true)]
    limit_memory: Option<i64>,
    /// Most processes of a task; 0 means no limit
    #[arg(long, value_name = "N", value_parser = grammar::count::<i64>, allow_hyphen_values = true)]
    limit_pids: Option<i64>,
    /// CPUs the scheduler sets aside for a task
    #[arg(long, value_name = "CPUS", value_parser = parse_cpus, allow_hyphen_values = true)]
    reserve_cpu: Option<i64>,
    /// Memory the scheduler sets aside for a task
    #[arg(long, value_name = "BYTES", value_parser = grammar::bytes, allow_hyphen_values = true)]
    reserve_memory: Option<i64>,
    /// Memory and swap together; -1 means unlimited swap
    #[arg(long, value_name = "BYTES", value_parser = grammar::bytes_or_unlimited, allow_hyphen_values = true)]
    memory_swap: Option<i64>,
    /// How eagerly memory is swapped out, 0 to 100; -1 is the kernel's default
    #[arg(long, value_name = "N", value_parser = |text: &str| grammar::within(text, -1..=100), allow_hyphen_values = true)]
    memory_swappiness: Option<i64>,
    /// How eagerly the kernel kills the container when memory is short, -1000 to 1000
    #[arg(long, value_name = "N", value_parser = |text: &str| grammar::within(text, -1000..=1000), allow_hyphen_values = true)]
    oom_score_adj: Option<i64>,
}

#[derive(clap::Args, Debug, Default)]
struct Restart {
    /// When an ended task is replaced: none, on-failure, any [default: any]
    #[arg(long, value_name = "CONDITION", value_parser = condition)]
    restart_condition: Option<RestartCondition>,
    /// Pause before a replacement starts [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = grammar::duration, allow_hyphen_values = true)]
    restart_delay: Option<Duration>,
    /// Replacements per slot; 0 means unlimited
    #[arg(long, value_name = "N", value_parser = grammar::count::<u64>, allow_hyphen_values = true)]
    restart_max_attempts: Option<u64>,
    /// Window in which attempts count; 0s means all of them
    #[arg(long, value_name = "DURATION", value_parser = grammar::duration, allow_hyphen_values = true)]
    restart_window: Option<Duration>,
}

#[derive(clap::Args, Debug, Default)]
struct Health {
    /// Command that finds out a container's health
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// Time between probes
    #[arg(long, value_name = "DURATION", value_parser = grammar::duration, allow_hyphen_values = true)]
    health_interval: Option<Duration>,
    /// Time a probe may take
    #[arg(long, value_name = "DURATION", value_parser = grammar::duration, allow_hyphen_values = true)]
    health_timeout: Option<Duration>,
    /// Failures in a row that make a container unhealthy
    #[arg(long, value_name = "N", value_parser = grammar::count::<u32>, allow_hyphen_values = true)]
    health_retries: Option<u32>,
    /// Time after the start in which failures do not count
    #[arg(long, value_name = "DURATION", value_parser = grammar::duration, allow_hyphen_values = true)]
    health_start_period: Option<Duration>,
    /// Time between probes within the start period
    #[arg(long, value_name = "DURATION", value_parser = grammar::duration, allow_hyphen_values = true)]
    health_start_interval: Option<Duration>,
    /// Do not check health, whatever the image says
    #[arg(long, conflicts_with_all = ["health_cmd", "health_interval", "health_timeout", "health_retries", "health_start_period", "health_start_interval"])]
    no_healthcheck: bool,
}

#[derive(clap::Args, Debug, Default)]
struct Placing {
    /// At most that many tasks per node; 0 means unlimited
    #[arg(long, value_name = "N", value_parser = grammar::count::<u64>, allow_hyphen_values = true)]
    replicas_max_per_node: Option<u64>,
    /// How clients find the tasks: vip or dnsrr
    #[arg(long, value_name = "MODE", value_parser = endpoint_mode)]
    endpoint_mode: Option<EndpointMode>,
    /// Where output goes: json-file, local, none
    #[arg(long, value_name = "DRIVER")]
    log_driver: Option<String>,
    /// Option of the log driver
    #[arg(long, value_name = "KEY=VALUE", value_parser = grammar::pair)]
    log_opt: Vec<(String, String)>,
}

impl Settings {
    /// Sets what was given.
    ///
    /// # Errors
    ///
    /// When flags exclude each other, or what is there already.
    pub(crate) fn apply(self, spec: &mut ServiceSpec) -> anyhow::Result<()> {
        self.process.apply(spec)?;
        self.resources.apply(spec)?;
        self.restart.apply(spec);
        self.health.apply(spec)?;
        self.placing.apply(spec);
        Ok(())
    }
}

/// Sets `field` when a value was given.
fn set<T>(field: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *field = value;
    }
}

impl Process {
    fn apply(self, spec: &mut ServiceSpec) -> anyhow::Result<()> {
        let it = container(spec)?;
        set(&mut it.dir, self.workdir);
        set(&mut it.user, self.user);
        set(&mut it.hostname, self.hostname);
        set(&mut it.command, self.entrypoint.map(|words| words.0));
        set(&mut it.tty, self.tty);
        set(&mut it.read_only, self.read_only);
        set(&mut it.init, self.init.map(Some));
        set(&mut it.stop_signal, self.stop_signal);
        set(&mut it.stop_grace_period, self.stop_grace_period);
        set(&mut it.isolation, self.isolation);
        set(&mut it.privileges.credential_spec, self.credential_spec.map(|it| it.0));
        Ok(())
    }
}

impl Resources {
    fn apply(self, spec: &mut ServiceSpec) -> anyhow::Result<()> {
        set(&mut container(spec)?.oom_score_adj, self.oom_score_adj);
        let it = &mut spec.task.resources;
        set(&mut it.limits.nano_cpus, self.limit_cpu);
        set(&mut it.limits.memory_bytes, self.limit_memory);
        set(&mut it.limits.pids, self.limit_pids);
        set(&mut it.reservations.nano_cpus, self.reserve_cpu);
        set(&mut it.reservations.memory_bytes, self.reserve_memory);
        set(&mut it.memory_swappiness, self.memory_swappiness.map(Some));
        set(&mut it.swap_bytes, self.memory_swap.map(Some));
        anyhow::ensure!(
            self.memory_swap.is_none() || it.limits.memory_bytes > 0,
            "--memory-swap needs --limit-memory"
        );
        Ok(())
    }
}

impl Restart {
    fn apply(self, spec: &mut ServiceSpec) {
        let it = &mut spec.task.restart;
        set(&mut it.condition, self.restart_condition);
        set(&mut it.delay, self.restart_delay);
        set(&mut it.max_attempts, self.restart_max_attempts);
        set(&mut it.window, self.restart_window);
    }
}

impl Health {
    fn is_given(&self) -> bool {
        let durations = [
            self.health_interval,
            self.health_timeout,
            self.health_start_period,
            self.health_start_interval,
        ];
        self.health_cmd.is_some()
            || self.health_retries.is_some()
            || durations.iter().any(Option::is_some)
    }

    fn apply(self, spec: &mut ServiceSpec) -> anyhow::Result<()> {
        let check = &mut container(spec)?.healthcheck;
        if self.no_healthcheck {
            *check =
                Some(HealthConfig { test: vec!["NONE".to_owned()], ..HealthConfig::default() });
        }
        if !self.is_given() {
            return Ok(());
        }
        let it = check.get_or_insert_default();
        if it.test.first().is_some_and(|word| word == "NONE") {
            it.test.clear();
        }
        if let Some(command) = self.health_cmd {
            let shell = || vec!["CMD-SHELL".to_owned(), command.clone()];
            it.test = if command.is_empty() { Vec::new() } else { shell() };
        }
        set(&mut it.interval, self.health_interval);
        set(&mut it.timeout, self.health_timeout);
        set(&mut it.retries, self.health_retries);
        set(&mut it.start_period, self.health_start_period);
        set(&mut it.start_interval, self.health_start_interval);
        Ok(())
    }
}

impl Placing {
    fn apply(self, spec: &mut ServiceSpec) {
        set(&mut spec.task.placement.max_replicas, self.replicas_max_per_node);
        set(&mut spec.endpoint.mode, self.endpoint_mode);
        // Options without a driver do nothing, as with Docker; the driver is replaced whole.
        if let Some(name) = self.log_driver.filter(|name| !name.is_empty()) {
            let options = self.log_opt.into_iter().collect();
            spec.task.log_driver = Some(Driver { name, options });
        }
    }
}

fn isolation(text: &str) -> Result<Isolation, String> {
    word(
        text,
        &[
            ("default", Isolation::Default),
            ("process", Isolation::Process),
            ("hyperv", Isolation::HyperV),
        ],
    )
}

fn credential_spec(text: &str) -> Result<Credentials, String> {
    Ok(Credentials(match text.split_once("://") {
        None if text.is_empty() => None,
        Some(("file", name)) if !name.is_empty() => Some(CredentialSpec::File(name.to_owned())),
        Some(("registry", name)) if !name.is_empty() => {
            Some(CredentialSpec::Registry(name.to_owned()))
        }
        Some(("config", _)) => return Err("config:// is not supported yet".to_owned()),
        _ => return Err("expected file://NAME or registry://NAME".to_owned()),
    }))
}

fn condition(text: &str) -> Result<RestartCondition, String> {
    word(
        text,
        &[
            ("none", RestartCondition::None),
            ("on-failure", RestartCondition::OnFailure),
            ("any", RestartCondition::Any),
        ],
    )
}

fn endpoint_mode(text: &str) -> Result<EndpointMode, String> {
    word(text, &[("vip", EndpointMode::Vip), ("dnsrr", EndpointMode::DnsRr)])
}
