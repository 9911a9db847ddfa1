//! A container: image, process, files and health.

use std::collections::BTreeMap;
use std::time::Duration;

use super::mount::Mount;
use super::secret::{ConfigReference, SecretReference};

/// What a container task runs. Empty fields mean what the image says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContainerSpec {
    /// Image reference, as Docker reads it.
    pub image: String,
    /// Labels of the container.
    pub labels: BTreeMap<String, String>,
    /// Replaces the image's entry point when not empty.
    pub command: Vec<String>,
    /// Arguments; replace the image's command when not empty.
    pub args: Vec<String>,
    /// Host name; may be a template.
    pub hostname: String,
    /// `KEY=VALUE`, or `KEY` alone to remove the image's default. Values may be templates.
    pub env: Vec<String>,
    /// Working directory.
    pub dir: String,
    /// `USER[:GROUP]`, names or numbers.
    pub user: String,
    /// Supplementary groups, names or numbers.
    pub groups: Vec<String>,
    /// Security settings.
    pub privileges: Privileges,
    /// Runs an init process as pid 1; `None` means no.
    pub init: Option<bool>,
    /// Signal that asks the container to stop; empty means the image's, else SIGTERM.
    pub stop_signal: String,
    /// Allocates a terminal.
    pub tty: bool,
    /// Keeps standard input open.
    pub open_stdin: bool,
    /// Mounts the root file system read-only.
    pub read_only: bool,
    /// Volumes, binds and tmpfs.
    pub mounts: Vec<Mount>,
    /// Time between stop signal and SIGKILL; zero kills at once.
    pub stop_grace_period: Duration,
    /// Health check; `None` means the image's.
    pub healthcheck: Option<HealthConfig>,
    /// Lines for `/etc/hosts`, each `IP NAME [ALIAS...]`.
    pub hosts: Vec<String>,
    /// Contents of `/etc/resolv.conf`.
    pub dns: DnsConfig,
    /// Secrets to mount.
    pub secrets: Vec<SecretReference>,
    /// Configs to mount.
    pub configs: Vec<ConfigReference>,
    /// Isolation technology; only `default` has a meaning on Linux.
    pub isolation: Isolation,
    /// Kernel parameters of the container's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Capabilities on top of the default set, as `CAP_NAME`.
    pub capability_add: Vec<String>,
    /// Capabilities taken from the default set, as `CAP_NAME`.
    pub capability_drop: Vec<String>,
    /// Resource limits of the process.
    pub ulimits: Vec<Ulimit>,
    /// -1000 to 1000; 0 means unchanged.
    pub oom_score_adj: i64,
    /// How the image is fetched.
    pub pull: PullOptions,
}

/// How an image is fetched; a difference here alone never replaces a running task.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PullOptions {
    /// Base64 of the registry credentials' JSON, as in Docker's `X-Registry-Auth`.
    pub registry_auth: crate::Sensitive,
}

/// Windows' isolation technology, accepted because clients send it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Isolation {
    /// The platform's default.
    #[default]
    Default,
    /// A process; Windows only.
    Process,
    /// A virtual machine; Windows only.
    HyperV,
}

/// Security settings of a container.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Privileges {
    /// Windows credential spec.
    pub credential_spec: Option<CredentialSpec>,
    /// `SELinux` label.
    pub selinux: Option<SeLinuxContext>,
    /// Seccomp filter.
    pub seccomp: Option<Seccomp>,
    /// True confines by the default `AppArmor` profile, false by none, `None` leaves it to the host.
    pub apparmor_enabled: Option<bool>,
    /// Forbids gaining privileges through setuid programs.
    pub no_new_privileges: bool,
}

/// Where a Windows credential spec comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CredentialSpec {
    /// A config's id.
    Config(String),
    /// A file on the node.
    File(String),
    /// A registry value on the node.
    Registry(String),
}

/// An `SELinux` label.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SeLinuxContext {
    /// Runs unconfined.
    pub disable: bool,
    /// User part.
    pub user: String,
    /// Role part.
    pub role: String,
    /// Type part.
    pub kind: String,
    /// Level part.
    pub level: String,
}

/// Which seccomp filter applies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seccomp {
    /// The built-in filter.
    Default,
    /// No filter.
    Unconfined,
    /// A filter in Docker's JSON form.
    Custom(Vec<u8>),
}

/// How a container's health is found out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HealthConfig {
    /// `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", command]`; empty means the image's.
    pub test: Vec<String>,
    /// Time between probes; zero means the default.
    pub interval: Duration,
    /// Time a probe may take; zero means the default.
    pub timeout: Duration,
    /// Failures in a row that make a container unhealthy; 0 means the default.
    pub retries: u32,
    /// Time after the start in which failures do not count.
    pub start_period: Duration,
    /// Time between probes within the start period; zero means the default.
    pub start_interval: Duration,
}

/// Contents of `/etc/resolv.conf`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DnsConfig {
    /// Addresses of name servers.
    pub nameservers: Vec<String>,
    /// Search domains.
    pub search: Vec<String>,
    /// Resolver options.
    pub options: Vec<String>,
}

/// A resource limit of a process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ulimit {
    /// Such as `nofile`.
    pub name: String,
    /// Soft limit; -1 means unlimited.
    pub soft: i64,
    /// Hard limit; -1 means unlimited.
    pub hard: i64,
}
