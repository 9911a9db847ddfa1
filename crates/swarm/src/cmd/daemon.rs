//! `swarm daemon [OPTIONS]`
//!
//! Runs this machine's node until SIGTERM or SIGINT. A shell around `swarm-node`: it reads the
//! settings (flags, then the file, then defaults), sets up logging, and waits for a signal.

mod host;
mod metrics;
mod notify;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use ipnetwork::Ipv4Network;
use serde::Deserialize;
use swarm_node::{Node, Options};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::options::Global;
use crate::output::Printer;

const CONFIG: &str = "/etc/swarm/daemon.toml";
/// Lengths of a gateway subnet: room for some tasks, and not half of the world.
const SUBNET_BITS: std::ops::RangeInclusive<u8> = 8..=28;

/// What the help ends with.
const AFTER_HELP: &str = "SWARM_LOG chooses what is logged: error, warn, info (the default), \
                          debug, trace, or per part as in info,swarm_agent=debug";

#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Daemon {
    /// File of settings; its keys are these flags in `snake_case` [default: /etc/swarm/daemon.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say what this host lacks, and the fix, and exit: with 1 when something needed is missing
    #[arg(long, conflicts_with = "purge")]
    check: bool,
    /// Remove everything a daemon with these settings made on this host, and exit
    #[arg(long)]
    purge: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    later: Later,
}

/// Known names that nothing serves yet: refused by name, and told to nobody.
#[derive(clap::Args, Debug, Default)]
struct Later {
    #[arg(long, hide = true)]
    data_path_addr: Option<String>,
    #[arg(long, hide = true)]
    data_path_port: Option<String>,
    #[arg(long, hide = true)]
    docker_socket: Option<String>,
}

impl Later {
    const KEYS: [&str; 3] = ["data_path_addr", "data_path_port", "docker_socket"];

    fn served(&self) -> anyhow::Result<()> {
        let given = [&self.data_path_addr, &self.data_path_port, &self.docker_socket];
        for (key, value) in Self::KEYS.into_iter().zip(given) {
            Self::refuse(key, value.as_deref())?;
        }
        Ok(())
    }

    /// `docker_socket = "none"` asks for nothing.
    fn refuse(key: &str, value: Option<&str>) -> anyhow::Result<()> {
        let asks = value.is_some_and(|value| key != "docker_socket" || value != "none");
        let flag = key.replace('_', "-");
        anyhow::ensure!(!asks, "not supported yet: --{flag} ({key} in the file of settings)");
        Ok(())
    }
}

/// What can be set by flag and by file; a flag wins.
#[derive(clap::Args, Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where the node keeps its state [default: /var/lib/swarm]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Where the node's socket is made [default: /run/swarm]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Socket of containerd [default: /run/containerd/containerd.sock]
    #[arg(long, value_name = "SOCKET")]
    containerd: Option<PathBuf>,
    /// containerd's namespace that holds the node's containers [default: swarm]
    #[arg(long, value_name = "NAME")]
    containerd_namespace: Option<String>,
    /// Address the managers' port is opened on [default: 0.0.0.0:2377]
    #[arg(long, value_name = "IP:PORT")]
    listen_addr: Option<SocketAddr>,
    /// Parent of the containers' cgroups [default: /swarm]
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,
    /// Subnet of the bridge that tasks reach the world through; kept once picked
    /// [default: 172.29.0.0/16, or the next clear of routes]
    #[arg(long, value_name = "IP/BITS")]
    gateway_subnet: Option<Ipv4Network>,
    /// Address that `/metrics` is served on, in Prometheus' form; none when left out
    #[arg(long, value_name = "IP:PORT")]
    metrics_addr: Option<SocketAddr>,
    /// Shape of the log
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
}

/// Shape of the log.
#[derive(ValueEnum, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

pub(crate) async fn run(args: Daemon, global: &Global, out: &mut Printer) -> anyhow::Result<()> {
    args.later.served()?;
    let settings = args.settings.or(read(args.config.as_deref())?);
    settings.checked()?;
    if args.check {
        return host::check(&settings.into_options(), out).await;
    }
    start_logging(settings.log_format.unwrap_or(LogFormat::Text));
    let metrics_addr = settings.metrics_addr;
    let options = settings.into_options();
    if args.purge {
        return host::purge(&options, out).await;
    }
    let socket = options.run_dir.join("swarm.sock");
    if let Some(asked) = global.socket.as_ref().filter(|asked| **asked != socket) {
        anyhow::bail!(
            "the daemon makes its socket at {}, not at {}: choose the directory by --run-dir",
            socket.display(),
            asked.display()
        );
    }

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut signalled = async || {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hangup.recv() => tracing::warn!(
                    "SIGHUP: no setting is read again while the daemon runs; start it again"
                ),
            }
        }
    };
    let node = tokio::select! {
        node = Node::start(options) => node.context("start the node")?,
        () = signalled() => return Ok(()),
    };
    let metrics = match metrics_addr {
        Some(address) => Some(metrics::Metrics::bind(address, &socket).await?),
        None => None,
    };
    let supervisor = notify::Supervisor::from_environment();
    supervisor.tell("READY=1");
    let outcome = tokio::select! {
        () = signalled() => Ok(()),
        failure = node.failed() => Err(failure),
        () = supervisor.keep_telling() => Ok(()),
        () = metrics::serve(metrics.as_ref()) => Ok(()),
    };
    supervisor.tell("STOPPING=1");
    tokio::select! {
        () = node.stop() => {}
        // Whoever asks twice does not want to wait; what was acknowledged is on disk.
        () = signalled() => tracing::warn!("stopped at once, on a second signal"),
    }
    outcome.context("the node cannot go on")
}

/// The settings in the file; a file that was not asked for may be missing.
fn read(path: Option<&Path>) -> anyhow::Result<Settings> {
    let wanted = path.is_some();
    let path = path.unwrap_or(Path::new(CONFIG));
    match std::fs::read_to_string(path) {
        Ok(text) => Settings::parse(&text).with_context(|| format!("read {}", path.display())),
        Err(error) if !wanted && error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Settings::default())
        }
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

impl Settings {
    /// These settings where they are given, `other`'s elsewhere.
    fn or(self, other: Self) -> Self {
        Self {
            state_dir: self.state_dir.or(other.state_dir),
            run_dir: self.run_dir.or(other.run_dir),
            containerd: self.containerd.or(other.containerd),
            containerd_namespace: self.containerd_namespace.or(other.containerd_namespace),
            listen_addr: self.listen_addr.or(other.listen_addr),
            cgroup_parent: self.cgroup_parent.or(other.cgroup_parent),
            gateway_subnet: self.gateway_subnet.or(other.gateway_subnet),
            metrics_addr: self.metrics_addr.or(other.metrics_addr),
            log_format: self.log_format.or(other.log_format),
        }
    }

    /// Reads the text of a file.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut keys: toml::Table = text.parse()?;
        for key in Later::KEYS {
            let value = keys.remove(key).map(|value| match value {
                toml::Value::String(text) => text,
                other => other.to_string(),
            });
            Later::refuse(key, value.as_deref())?;
        }
        Ok(keys.try_into()?)
    }

    /// Refuses what is no use.
    fn checked(&self) -> anyhow::Result<()> {
        if let Some(subnet) = self.gateway_subnet {
            anyhow::ensure!(
                subnet.ip() == subnet.network() && SUBNET_BITS.contains(&subnet.prefix()),
                "--gateway-subnet {subnet}: give a network's own address with {} to {} bits, as in \
                 172.29.0.0/16",
                SUBNET_BITS.start(),
                SUBNET_BITS.end()
            );
        }
        Ok(())
    }

    fn into_options(self) -> Options {
        let default = Options::default();
        Options {
            state_dir: self.state_dir.unwrap_or(default.state_dir),
            run_dir: self.run_dir.unwrap_or(default.run_dir),
            containerd: self.containerd.unwrap_or(default.containerd),
            containerd_namespace: self.containerd_namespace.unwrap_or(default.containerd_namespace),
            listen_addr: self.listen_addr.unwrap_or(default.listen_addr),
            cgroup_parent: self.cgroup_parent.unwrap_or(default.cgroup_parent),
            gateway_subnet: self.gateway_subnet.unwrap_or(default.gateway_subnet),
        }
    }
}

fn start_logging(format: LogFormat) {
    // openraft tells of every vote, and of every message that another manager does not take, some
    // fifty a second; what that amounts to is told by swarm-raft and swarm-manager.
    let filter = EnvFilter::try_from_env("SWARM_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,openraft=off"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let log = log.with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file() {
        let file: Settings =
            Settings::parse("state_dir = \"/a\"\nlisten_addr = \"127.0.0.1:1\"").unwrap();
        let flags = Settings { state_dir: Some("/b".into()), ..Settings::default() };

        let options = flags.or(file).into_options();

        assert_eq!(options.state_dir, Path::new("/b"));
        assert_eq!(options.listen_addr.port(), 1);
    }

    #[test]
    fn what_is_not_served_yet_is_refused_by_name() {
        let served = |text: &str| Settings::parse(text).and_then(|settings| settings.checked());
        for (key, value) in [
            ("data_path_addr", "\"10.0.0.1\""),
            ("data_path_port", "4789"),
            ("docker_socket", "\"/run/swarm/docker.sock\""),
        ] {
            let refusal = served(&format!("{key} = {value}")).unwrap_err().to_string();
            assert!(refusal.contains("not supported yet") && refusal.contains(key), "{refusal}");
        }
        served("docker_socket = \"none\"").unwrap();
        served("gateway_subnet = \"10.9.0.0/20\"").unwrap();
        for bad in ["10.9.0.1/20", "10.0.0.0/7", "10.9.0.0/30"] {
            let refusal = served(&format!("gateway_subnet = \"{bad}\"")).unwrap_err().to_string();
            assert!(refusal.contains("--gateway-subnet"), "{refusal}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let refusal = Settings::parse("stat_dir = \"/a\"").unwrap_err().to_string();

        assert!(refusal.contains("stat_dir") && refusal.contains("gateway_subnet"), "{refusal}");
        for later in Later::KEYS {
            assert!(!refusal.contains(later), "{refusal}");
        }
    }
}
