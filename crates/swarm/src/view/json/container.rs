//! A container's spec as Docker's API shows it.

use serde_json::{Value, json};
use swarm_types::spec::Driver;
use swarm_types::spec::container::{
    ContainerSpec, CredentialSpec, HealthConfig, Isolation, Privileges, Seccomp,
};
use swarm_types::spec::mount::{BindOptions, Mount, TmpfsOptions, VolumeOptions};

use super::{Fields, each, nanoseconds, words};

pub(super) fn container(container: &ContainerSpec) -> Value {
    let isolation = match container.isolation {
        Isolation::Default => "default",
        Isolation::Process => "process",
        Isolation::HyperV => "hyperv",
    };
    let dns = Fields::default()
        .with_some("Nameservers", json!(container.dns.nameservers))
        .with_some("Search", json!(container.dns.search))
        .with_some("Options", json!(container.dns.options));
    let ulimits = each(&container.ulimits, |it| {
        Fields::default().with("Name", it.name.as_str()).with("Soft", it.soft).with("Hard", it.hard)
    });
    Fields::default()
        .with("Image", container.image.as_str())
        .with_some("Labels", json!(container.labels))
        .with_some("Command", json!(container.command))
        .with_some("Args", json!(container.args))
        .with_some("Hostname", container.hostname.as_str())
        .with_some("Env", json!(container.env))
        .with_some("Dir", container.dir.as_str())
        .with_some("User", container.user.as_str())
        .with_some("Groups", json!(container.groups))
        .with_some("Privileges", privileges(&container.privileges))
        .with("Init", container.init.map_or(Value::Bool(false), Value::Bool))
        .with_some("StopSignal", container.stop_signal.as_str())
        .with_some("TTY", container.tty)
        .with_some("OpenStdin", container.open_stdin)
        .with_some("ReadOnly", container.read_only)
        .with_some("Mounts", each(&container.mounts, mount))
        .with("StopGracePeriod", nanoseconds(container.stop_grace_period))
        .with_some("Healthcheck", container.healthcheck.as_ref().map(health))
        .with_some("Hosts", json!(container.hosts))
        .with("DNSConfig", dns)
        .with("Isolation", isolation)
        .with_some("Sysctls", json!(container.sysctls))
        .with_some("CapabilityAdd", json!(container.capability_add))
        .with_some("CapabilityDrop", json!(container.capability_drop))
        .with_some("Ulimits", ulimits)
        .with_some("OomScoreAdj", container.oom_score_adj)
        .without(&["Secrets", "Configs"])
        .into()
}

/// Empty when nothing is set.
fn privileges(privileges: &Privileges) -> Value {
    if *privileges == Privileges::default() {
        return Value::Null;
    }
    let spec = privileges.credential_spec.as_ref().map(|spec| {
        let (config, file, registry) = match spec {
            CredentialSpec::Config(id) => (id.to_string(), "", ""),
            CredentialSpec::File(name) => (String::new(), name.as_str(), ""),
            CredentialSpec::Registry(name) => (String::new(), "", name.as_str()),
        };
        let spec = Fields::default().with_some("Config", config).with_some("File", file);
        Value::from(spec.with_some("Registry", registry))
    });
    let selinux = privileges.selinux.as_ref().map(|it| {
        let context = Fields::default().with("Disable", it.disable).with("User", it.user.as_str());
        let context = context.with("Role", it.role.as_str()).with("Type", it.kind.as_str());
        Value::from(context.with("Level", it.level.as_str()))
    });
    let mode = |word: &str| Value::from(Fields::default().with("Mode", word));
    let seccomp = privileges.seccomp.as_ref().map(|it| match it {
        Seccomp::Default => mode("default"),
        Seccomp::Unconfined => mode("unconfined"),
        Seccomp::Custom(_) => mode("custom"),
    });
    let apparmor =
        privileges.apparmor_enabled.map(|it| mode(if it { "default" } else { "disabled" }));
    Fields::default()
        .with("CredentialSpec", spec)
        .with("SELinuxContext", selinux)
        .with_some("Seccomp", seccomp)
        .with_some("AppArmor", apparmor)
        .with("NoNewPrivileges", privileges.no_new_privileges)
        .into()
}

fn health(check: &HealthConfig) -> Value {
    Fields::default()
        .with_some("Test", json!(check.test))
        .with_some("Interval", nanoseconds(check.interval))
        .with_some("Timeout", nanoseconds(check.timeout))
        .with_some("Retries", check.retries)
        .with_some("StartPeriod", nanoseconds(check.start_period))
        .with_some("StartInterval", nanoseconds(check.start_interval))
        .into()
}

fn mount(mount: &Mount) -> Fields {
    Fields::default()
        .with("Type", words::mount_kind(mount.kind))
        .with_some("Source", mount.source.as_str())
        .with("Target", mount.target.as_str())
        .with_some("ReadOnly", mount.read_only)
        .with_some("Consistency", words::consistency(mount.consistency))
        .with_some("BindOptions", mount.bind.as_ref().map(bind))
        .with_some("VolumeOptions", mount.volume.as_ref().map(volume))
        .with_some("TmpfsOptions", mount.tmpfs.as_ref().map(tmpfs))
        .without(&["ImageOptions", "ClusterOptions"])
}

fn bind(options: &BindOptions) -> Value {
    Fields::default()
        .with("Propagation", words::propagation(options.propagation))
        .with_some("NonRecursive", options.non_recursive)
        .with_some("CreateMountpoint", options.create_mountpoint)
        .with_some("ReadOnlyNonRecursive", options.read_only_non_recursive)
        .with_some("ReadOnlyForceRecursive", options.read_only_force_recursive)
        .into()
}

fn volume(options: &VolumeOptions) -> Value {
    Fields::default()
        .with_some("NoCopy", options.no_copy)
        .with_some("Labels", json!(options.labels))
        .with_some("Subpath", options.subpath.as_str())
        .with_some("DriverConfig", options.driver.as_ref().map(driver))
        .into()
}

fn tmpfs(options: &TmpfsOptions) -> Value {
    Fields::default()
        .with_some("SizeBytes", options.size_bytes)
        .with_some("Mode", options.mode)
        .with_some("Options", json!(options.options))
        .into()
}

pub(super) fn driver(driver: &Driver) -> Value {
    Fields::default()
        .with_some("Name", driver.name.as_str())
        .with_some("Options", json!(driver.options))
        .into()
}
