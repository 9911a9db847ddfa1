//! What this host has for a node, and what it lacks. Looks, and changes nothing.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::unistd::{AccessFlags, access, geteuid};
use swarm_runtime::containerd_version;
use tokio::process::Command;
use tokio::time::timeout;

use crate::{Options, member};

/// Oldest versions that are known to serve.
const CONTAINERD: (u32, u32) = (1, 6);
const RUNC: (u32, u32) = (1, 0);
/// How long `runc --version` may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// It is as it should be.
    Fine {
        /// What.
        what: String,
    },
    /// It is missed by those only who ask for it.
    Hint {
        /// What, and who misses it.
        what: String,
        /// What an operator does about it.
        fix: String,
    },
    /// Tasks do not run as they should without it.
    Lack {
        /// What, and how that showed.
        what: String,
        /// What an operator does about it.
        fix: String,
    },
}

/// Looks at what a node with these options needs of this host.
pub async fn check(options: &Options) -> Vec<Finding> {
    let mut found = Vec::new();
    if !geteuid().is_root() {
        found.push(lack("not root".to_owned(), "run the daemon, and this check, as root"));
    }
    found.push(containerd(&options.containerd).await);
    found.push(runc().await);
    found.push(writable("state directory", &options.state_dir, "--state-dir"));
    found.push(writable("run directory", &options.run_dir, "--run-dir"));
    let lacks = swarm_net::check(&member::net_options(options)).await;
    if lacks.is_empty() {
        found.push(fine("kernel: overlayfs, cgroups, bridge, veth, nf_tables"));
    }
    found.extend(lacks.into_iter().map(|it| Finding::Lack { what: it.what, fix: it.fix }));
    found.push(init());
    found
}

fn fine(what: impl Into<String>) -> Finding {
    Finding::Fine { what: what.into() }
}

fn lack(what: String, fix: &str) -> Finding {
    Finding::Lack { what, fix: fix.to_owned() }
}

async fn containerd(socket: &Path) -> Finding {
    let place = socket.display();
    match containerd_version(socket).await {
        Ok(version) if numbers(&version).is_some_and(|found| found < CONTAINERD) => lack(
            format!("containerd {version} at {place}: too old"),
            "install containerd 1.6 or later",
        ),
        Ok(version) => fine(format!("containerd {version}")),
        Err(why) => lack(
            format!("containerd at {place}: {why}"),
            "install and start containerd, or name its socket with --containerd",
        ),
    }
}

async fn runc() -> Finding {
    let fix = "install runc 1.0 or later";
    match runc_version().await {
        Ok(version) if numbers(&version).is_some_and(|found| found < RUNC) => {
            lack(format!("runc {version}: too old"), fix)
        }
        Ok(version) => fine(format!("runc {version}")),
        Err(why) => lack(why, fix),
    }
}

/// What runc says of itself, or why it says nothing. containerd starts it from its own search
/// path, which is mostly this one.
pub(crate) async fn runc_version() -> Result<String, String> {
    let mut command = Command::new("runc");
    command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
    let said = match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(Err(why)) => return Err(format!("runc: {why}")),
        Err(_) => return Err("runc --version does not end".to_owned()),
    };
    let version = said.lines().next().and_then(|line| line.strip_prefix("runc version "));
    let version = version.filter(|version| numbers(version).is_some());
    version.map(str::to_owned).ok_or_else(|| format!("runc says no version: {:?}", said.trim()))
}

/// Major and minor number of `1.6.20~ds1` or `v1.6.20`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split(|it: char| !it.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A directory that is there, or the nearest above it that is, takes files.
fn writable(what: &str, dir: &Path, flag: &str) -> Finding {
    let there = dir.ancestors().find(|it| it.exists()).unwrap_or(Path::new("/"));
    let place = dir.display();
    let refused = if there.is_dir() {
        access(there, AccessFlags::W_OK | AccessFlags::X_OK).err()
    } else {
        Some(nix::Error::ENOTDIR)
    };
    match refused {
        None => fine(format!("{what} {place}")),
        Some(why) => Finding::Lack {
            what: format!("{what} {place}: {}: {why}", there.display()),
            fix: format!("make it writable, or name another with {flag}"),
        },
    }
}

fn init() -> Finding {
    let init = swarm_runtime::Options::default().init;
    if init.exists() {
        return fine(format!("init {}", init.display()));
    }
    Finding::Hint {
        what: format!("{} is missing: services with --init do not start here", init.display()),
        fix: "install Debian's package tini".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(numbers("1.6.20~ds1"), Some((1, 6)));
        assert_eq!(numbers("v2.0.0-rc.1"), Some((2, 0)));
        assert_eq!(numbers("1.10"), Some((1, 10)));
        assert_eq!(numbers("unknown"), None);
        assert!(numbers("1.10").unwrap() > CONTAINERD);
    }

    #[test]
    fn a_directory_that_can_be_made_will_do_and_a_file_will_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();

        let below = writable("state directory", &dir.path().join("a/b"), "--state-dir");
        let inside = writable("state directory", &file.join("a"), "--state-dir");

        assert!(matches!(below, Finding::Fine { .. }), "{below:?}");
        assert!(matches!(&inside, Finding::Lack { fix, .. } if fix.contains("--state-dir")));
        assert!(!dir.path().join("a").exists());
    }
}
