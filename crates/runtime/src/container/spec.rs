//! What runc is told: Docker's defaults, the image's wishes, then the configuration's.
//!
//! There is no seccomp profile yet: a container may make every system call its capabilities
//! allow. Docker's default profile comes with the security settings of services.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Capability, LinuxBuilder, LinuxCapabilities, LinuxCapabilitiesBuilder, LinuxCpuBuilder,
    LinuxDeviceCgroupBuilder, LinuxMemoryBuilder, LinuxNamespaceBuilder, LinuxNamespaceType,
    LinuxPidsBuilder, LinuxResources, LinuxResourcesBuilder, Mount, MountBuilder, Process,
    ProcessBuilder, RootBuilder, Spec, SpecBuilder, UserBuilder,
};

use super::user::Identity;
use super::{ContainerConfig, Network, Privileges, Resources};
use crate::Error;
use crate::image::ImageConfig as ImageProcess;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Length of the time slice a CPU limit counts in, in microseconds.
const CPU_PERIOD: u64 = 100_000;

const CAPABILITIES: [Capability; 14] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fsetid,
    Capability::Fowner,
    Capability::Mknod,
    Capability::NetRaw,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setfcap,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Kill,
    Capability::AuditWrite,
];
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Destination, type, source, options.
const MOUNTS: [(&str, &str, &str, &[&str]); 7] = [
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    ),
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
    ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
];

pub(super) fn build(
    config: &ContainerConfig,
    image: &ImageProcess,
    identity: &Identity,
    cgroup: &Path,
) -> Result<Spec, Error> {
    let args = args(config, image)?;
    let bad = |why: OciSpecError| Error::BadConfig { field: "spec", why: why.to_string() };
    assemble(config, image, identity, cgroup, args).map_err(bad)
}

fn assemble(
    config: &ContainerConfig,
    image: &ImageProcess,
    identity: &Identity,
    cgroup: &Path,
    args: Vec<String>,
) -> Result<Spec, OciSpecError> {
    let linux = LinuxBuilder::default()
        .cgroups_path(cgroup)
        .resources(resources(config.resources)?)
        .namespaces(namespaces(config)?)
        .masked_paths(MASKED.map(String::from))
        .readonly_paths(READ_ONLY.map(String::from));
    let spec = SpecBuilder::default()
        .version("1.0.2")
        .process(process(config, image, identity, args)?)
        .root(RootBuilder::default().path("rootfs").readonly(false).build()?)
        .mounts(mounts(&config.network)?)
        .linux(linux.build()?);
    let mut spec = spec.build()?;
    // The builder's own defaults name the host, which needs a UTS namespace.
    spec.set_hostname(config.hostname.clone()).set_domainname(None);
    Ok(spec)
}

/// A command replaces the image's entry point and command, arguments only the latter.
fn args(config: &ContainerConfig, image: &ImageProcess) -> Result<Vec<String>, Error> {
    let (command, args) = match (config.command.is_empty(), config.args.is_empty()) {
        (false, _) => (&config.command, &config.args),
        (true, false) => (&image.entrypoint, &config.args),
        (true, true) => (&image.entrypoint, &image.cmd),
    };
    let words: Vec<String> = command.iter().chain(args).cloned().collect();
    if words.is_empty() {
        let why = "neither the service nor the image says what to run".into();
        return Err(Error::BadConfig { field: "command", why });
    }
    Ok(words)
}

fn process(
    config: &ContainerConfig,
    image: &ImageProcess,
    identity: &Identity,
    args: Vec<String>,
) -> Result<Process, OciSpecError> {
    let user = UserBuilder::default()
        .uid(identity.uid)
        .gid(identity.gid)
        .additional_gids(identity.groups.clone())
        .build()?;
    let dirs = [config.dir.as_str(), image.working_dir.as_str()];
    let dir = dirs.into_iter().find(|dir| !dir.is_empty()).unwrap_or_default();
    ProcessBuilder::default()
        .terminal(false)
        .user(user)
        .args(args)
        .env(env(config, image))
        .cwd(Path::new("/").join(dir))
        .capabilities(capabilities(identity)?)
        .no_new_privileges(config.privileges == Privileges::NoNew)
        .rlimits(Vec::new())
        // Else it inherits containerd's, which the kernel kills last.
        .oom_score_adj(0)
        .build()
}

/// Only root holds capabilities from the start; others may get them through set-uid programs.
fn capabilities(identity: &Identity) -> Result<LinuxCapabilities, OciSpecError> {
    let all = HashSet::from(CAPABILITIES);
    let held = if identity.uid == 0 { all.clone() } else { HashSet::new() };
    LinuxCapabilitiesBuilder::default()
        .bounding(all)
        .effective(held.clone())
        .permitted(held)
        .inheritable(HashSet::new())
        .ambient(HashSet::new())
        .build()
}

/// Later ones win and keep the place of the first; a key alone removes it.
fn env(config: &ContainerConfig, image: &ImageProcess) -> Vec<String> {
    let hostname = config.hostname.clone().or_else(|| {
        let name = nix::unistd::gethostname().ok()?;
        Some(name.to_string_lossy().into_owned())
    });
    let hostname = hostname.map(|name| format!("HOSTNAME={name}"));
    let mut env: Vec<String> = Vec::new();
    let defaults = [PATH.to_owned()].into_iter().chain(hostname);
    for entry in defaults.chain(image.env.iter().chain(&config.env).cloned()) {
        let key = entry.split('=').next().unwrap_or_default();
        let at = env.iter().position(|known| known.split('=').next() == Some(key));
        match (at, entry.contains('=')) {
            (Some(at), true) => env[at] = entry,
            (None, true) => env.push(entry),
            (Some(at), false) => drop(env.remove(at)),
            (None, false) => {}
        }
    }
    env
}

fn namespaces(
    config: &ContainerConfig,
) -> Result<Vec<oci_spec::runtime::LinuxNamespace>, OciSpecError> {
    let mut kinds =
        vec![LinuxNamespaceType::Mount, LinuxNamespaceType::Pid, LinuxNamespaceType::Ipc];
    if config.hostname.is_some() {
        kinds.push(LinuxNamespaceType::Uts);
    }
    // As Docker: cgroup v1 shows its hierarchy, v2 hides what is above the container.
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        kinds.push(LinuxNamespaceType::Cgroup);
    }
    kinds.into_iter().map(|kind| LinuxNamespaceBuilder::default().typ(kind).build()).collect()
}

fn resources(limits: Resources) -> Result<LinuxResources, OciSpecError> {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let none = LinuxDeviceCgroupBuilder::default().allow(false).access("rwm").build()?;
    let mut resources = LinuxResourcesBuilder::default().devices(vec![none]);
    if limits.nano_cpus > 0 {
        let quota = u128::from(limits.nano_cpus) * u128::from(CPU_PERIOD) / 1_000_000_000;
        // The kernel refuses less than a millisecond.
        let quota = i64::try_from(quota).unwrap_or(i64::MAX).max(1000);
        let cpu = LinuxCpuBuilder::default().quota(quota).period(CPU_PERIOD).build()?;
        resources = resources.cpu(cpu);
    }
    if limits.memory_bytes > 0 {
        let mut memory = LinuxMemoryBuilder::default().limit(signed(limits.memory_bytes));
        // As Docker: as much swap as memory, and not the host's whole.
        if counts_swap() {
            memory = memory.swap(signed(limits.memory_bytes.saturating_mul(2)));
        }
        resources = resources.memory(memory.build()?);
    }
    if limits.pids > 0 {
        resources = resources.pids(LinuxPidsBuilder::default().limit(signed(limits.pids)).build()?);
    }
    resources.build()
}

/// Whether the kernel bounds swap; runc refuses a bound it cannot set.
fn counts_swap() -> bool {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let unified = Path::new("/sys/fs/cgroup").join(own).join("memory.swap.max");
    unified.exists() || Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists()
}

fn mounts(network: &Network) -> Result<Vec<Mount>, OciSpecError> {
    let default = MOUNTS.iter().map(|(to, kind, from, options)| mount(to, kind, from, options));
    let shared: &[&str] = match network {
        Network::Host => &["/etc/hosts", "/etc/resolv.conf"],
        Network::Netns(_) => &[],
    };
    let shared = shared.iter().filter(|file| Path::new(file).exists());
    let binds = shared.map(|file| mount(file, "bind", file, &["rbind", "rprivate", "ro"]));
    default.chain(binds).collect()
}

fn mount(to: &str, kind: &str, from: &str, options: &[&str]) -> Result<Mount, OciSpecError> {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    MountBuilder::default()
        .destination(PathBuf::from(to))
        .typ(kind)
        .source(PathBuf::from(from))
        .options(options)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(String::from).collect()
    }

    fn image() -> ImageProcess {
        ImageProcess {
            entrypoint: words("entry"),
            cmd: words("cmd"),
            env: words("PATH=/bin A=1 B=2"),
            working_dir: "/srv".into(),
            ..ImageProcess::default()
        }
    }

    #[test]
    fn a_command_replaces_the_entry_point_and_arguments_the_command() {
        let run = |command: &str, arguments: &str| {
            let config = ContainerConfig {
                command: words(command),
                args: words(arguments),
                ..ContainerConfig::default()
            };
            args(&config, &image()).unwrap().join(" ")
        };
        assert_eq!(run("", ""), "entry cmd");
        assert_eq!(run("", "x y"), "entry x y");
        assert_eq!(run("own", ""), "own");
        assert_eq!(run("own", "x"), "own x");
        assert!(args(&ContainerConfig::default(), &ImageProcess::default()).is_err());
    }

    #[test]
    fn later_variables_win_and_a_bare_key_removes() {
        let config = ContainerConfig {
            hostname: Some("h".into()),
            env: words("A=3 B C=4 D"),
            ..ContainerConfig::default()
        };
        assert_eq!(env(&config, &image()), words("PATH=/bin HOSTNAME=h A=3 C=4"));
    }

    #[test]
    fn root_alone_holds_capabilities_and_nobody_all_of_them() {
        let built = |uid| {
            let identity = Identity { uid, ..Identity::default() };
            let config = ContainerConfig::default();
            let spec = build(&config, &image(), &identity, Path::new("/swarm/x")).unwrap();
            serde_json::to_value(&spec).unwrap()
        };
        let held = |spec: &serde_json::Value, set: &str| {
            spec["process"]["capabilities"][set].as_array().map_or(0, Vec::len)
        };
        let (root, user) = (built(0), built(1000));
        assert_eq!(held(&root, "effective"), 14);
        assert_eq!(held(&user, "effective"), 0);
        assert_eq!(held(&user, "bounding"), 14);
        assert_eq!(root["linux"]["cgroupsPath"], "/swarm/x");
        assert_eq!(root["process"]["cwd"], "/srv");
        assert_eq!(root["process"]["oomScoreAdj"], 0);
        assert_eq!(root["process"]["noNewPrivileges"], false);
    }
}
