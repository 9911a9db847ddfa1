//! A container's spec as Docker's API shows it.

use serde_json::{Value, json};
use swarm_types::spec::Driver;
use swarm_types::spec::container::{
    ContainerSpec, CredentialSpec, HealthConfig, Isolation, Privileges, Seccomp,
};
use swarm_types::spec::mount::{BindOptions, Mount, TmpfsOptions, VolumeOptions};

use super::{Fields, nanoseconds, words};

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
    let ulimit = |it: &swarm_types::spec::container::Ulimit| json!({ "Name": it.name, "Soft": it.soft, "Hard": it.hard });
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
        .with_some("Mounts", container.mounts.iter().map(mount).collect::<Vec<_>>())
        .with("StopGracePeriod", nanoseconds(container.stop_grace_period))
        .with_some("Healthcheck", container.healthcheck.as_ref().map(health))
        .with_some("Hosts", json!(container.hosts))
        .with("DNSConfig", dns)
        .with("Isolation", isolation)
        .with_some("Sysctls", json!(container.sysctls))
        .with_some("CapabilityAdd", json!(container.capability_add))
        .with_some("CapabilityDrop", json!(container.capability_drop))
        .with_some("Ulimits", container.ulimits.iter().map(ulimit).collect::<Vec<_>>())
        .with_some("OomScoreAdj", container.oom_score_adj)
        .into()
}

/// Empty when nothing is set.
fn privileges(privileges: &Privileges) -> Value {
    if *privileges == Privileges::default() {
        return Value::Null;
    }
    let spec = privileges.credential_spec.as_ref().map(|spec| match spec {
        CredentialSpec::Config(id) => json!({ "Config": id }),
        CredentialSpec::File(name) => json!({ "File": name }),
        CredentialSpec::Registry(name) => json!({ "Registry": name }),
    });
    let selinux = privileges.selinux.as_ref().map(|it| {
        json!({ "Disable": it.disable, "User": it.user, "Role": it.role, "Type": it.kind, "Level": it.level })
    });
    let seccomp = privileges.seccomp.as_ref().map(|it| match it {
        Seccomp::Default => json!({ "Mode": "default" }),
        Seccomp::Unconfined => json!({ "Mode": "unconfined" }),
        Seccomp::Custom(_) => json!({ "Mode": "custom" }),
    });
    let mode = |enabled| json!({ "Mode": if enabled { "default" } else { "disabled" } });
    Fields::default()
        .with("CredentialSpec", spec)
        .with("SELinuxContext", selinux)
        .with_some("Seccomp", seccomp)
        .with_some("AppArmor", privileges.apparmor_enabled.map(mode))
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

fn mount(mount: &Mount) -> Value {
    Fields::default()
        .with("Type", words::mount_kind(mount.kind))
        .with_some("Source", mount.source.as_str())
        .with("Target", mount.target.as_str())
        .with_some("ReadOnly", mount.read_only)
        .with_some("Consistency", words::consistency(mount.consistency))
        .with_some("BindOptions", mount.bind.as_ref().map(bind))
        .with_some("VolumeOptions", mount.volume.as_ref().map(volume))
        .with_some("TmpfsOptions", mount.tmpfs.as_ref().map(tmpfs))
        .into()
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
