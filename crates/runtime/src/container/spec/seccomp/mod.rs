//! Which system calls a container may make.
//!
//! A [`Profile`] is what Docker's JSON form says: rules, some of which hold only with or without
//! some capability, on some processors, or from some kernel on. [`table`] is the default one,
//! [`json`] reads another. What holds here is decided once, when the container is made; runc
//! leaves out names that its library does not know.

mod json;
mod table;

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompBuilder,
    LinuxSeccompFilterFlag, LinuxSyscall, LinuxSyscallBuilder,
};

use super::capabilities::Names;
use super::{Host, bad, built};
use crate::Error;
use crate::container::Seccomp;

/// Rules before it is known where they are to hold.
#[derive(Clone, Debug)]
struct Profile {
    default: LinuxSeccompAction,
    default_errno: Option<u32>,
    architectures: Vec<Arch>,
    flags: Vec<LinuxSeccompFilterFlag>,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    names: Vec<String>,
    action: LinuxSeccompAction,
    errno: Option<u32>,
    args: Vec<LinuxSeccompArg>,
    /// All of it must hold.
    only: When,
    /// None of it may hold.
    never: When,
}

/// Conditions; an empty one says nothing.
#[derive(Clone, Debug, Default)]
struct When {
    /// `CAP_NAME`.
    capabilities: Vec<String>,
    /// Names of processors in Go.
    processors: Vec<String>,
    kernel: Option<(u32, u32)>,
}

/// What runc is told; `None` means no filter at all.
pub(super) fn filter(
    wanted: &Seccomp,
    bounding: &Names,
    host: &Host,
) -> Result<Option<LinuxSeccomp>, Error> {
    let profile = match wanted {
        Seccomp::Unconfined => return Ok(None),
        Seccomp::Default => table::profile().map_err(built)?,
        Seccomp::Custom(text) => json::read(text).map_err(|why| bad("seccomp", why))?,
    };
    let holds = |rule: &Rule| rule.holds(bounding, host.kernel);
    let rules: Result<Vec<LinuxSyscall>, Error> =
        profile.rules.iter().filter(|rule| holds(rule)).map(syscall).collect();
    let mut seccomp =
        LinuxSeccompBuilder::default().default_action(profile.default).syscalls(rules?);
    if !profile.architectures.is_empty() {
        seccomp = seccomp.architectures(profile.architectures);
    }
    if !profile.flags.is_empty() {
        seccomp = seccomp.flags(profile.flags);
    }
    if let Some(errno) = profile.default_errno {
        seccomp = seccomp.default_errno_ret(errno);
    }
    seccomp.build().map(Some).map_err(built)
}

impl Rule {
    fn holds(&self, bounding: &Names, kernel: (u32, u32)) -> bool {
        let held =
            |name: &String| bounding.contains(name.strip_prefix("CAP_").unwrap_or(name.as_str()));
        let here = |names: &[String]| names.iter().any(|name| name == processor());
        let Self { only, never, .. } = self;
        let needed = only.capabilities.iter().all(held)
            && (only.processors.is_empty() || here(&only.processors))
            && only.kernel.is_none_or(|least| kernel >= least);
        let spoilt = never.capabilities.iter().any(held)
            || here(&never.processors)
            || never.kernel.is_some_and(|least| kernel >= least);
        needed && !spoilt
    }
}

fn syscall(rule: &Rule) -> Result<LinuxSyscall, Error> {
    let mut syscall = LinuxSyscallBuilder::default().names(rule.names.clone()).action(rule.action);
    if !rule.args.is_empty() {
        syscall = syscall.args(rule.args.clone());
    }
    if let Some(errno) = rule.errno {
        syscall = syscall.errno_ret(errno);
    }
    syscall.build().map_err(built)
}

/// This processor, as Go calls it.
fn processor() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        "x86" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests;
