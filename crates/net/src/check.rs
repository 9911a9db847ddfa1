//! What this host lacks, found by trying it in a namespace that ends with the question.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};

use crate::error::NetError;
use crate::names::TABLE;
use crate::netlink::Socket;
use crate::netlink::nft::{self, Family};
use crate::netlink::route::{self, Pair, Route};
use crate::netns::{self, Propagation, on_thread};
use crate::table;
use crate::wish::Options;

/// Something this host lacks, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// What is missing, and how that showed.
    pub what: String,
    /// What an operator does about it.
    pub fix: String,
}

/// Says what this host lacks for tasks to run with networks of their own. Changes nothing.
pub async fn check(options: &Options) -> Vec<Lack> {
    let options = options.clone();
    let tried = on_thread(move || {
        let mut lacks = Vec::new();
        lacks.extend(mounts(&options));
        lacks.extend(overlayfs());
        lacks.extend(cgroups());
        lacks.extend(kernel());
        Ok(lacks)
    });
    tried.await.unwrap_or_else(|error: NetError| {
        vec![lack("a thread to try things on", &error, "free memory or processes")]
    })
}

fn lack(what: &str, error: &dyn std::fmt::Display, fix: &str) -> Lack {
    Lack { what: format!("{what}: {error}"), fix: fix.to_owned() }
}

fn mounts(options: &Options) -> Option<Lack> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let real = options.run_dir.canonicalize().unwrap_or_else(|_| options.run_dir.clone());
    let shared = netns::propagation(&table, &real) == Propagation::Shared;
    (!shared && !netns::is_lasting()).then(|| {
        let error = NetError::PrivateMount { path: options.run_dir.clone() };
        Lack {
            what: error.to_string(),
            fix: "remove PrivateMounts, PrivateTmp and the like from the unit".to_owned(),
        }
    })
}

fn overlayfs() -> Option<Lack> {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let here = known.lines().any(|line| line.split('\t').next_back() == Some("overlay"));
    (!here).then(|| Lack {
        what: "overlayfs: not among /proc/filesystems".to_owned(),
        fix: "modprobe overlay".to_owned(),
    })
}

/// Controllers that limits need, on version 1, 2 or a mix.
fn cgroups() -> Option<Lack> {
    let root = Path::new("/sys/fs/cgroup");
    let unified = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    let here = |name: &&str| {
        unified.split_whitespace().any(|controller| controller == *name) || root.join(name).is_dir()
    };
    let missing: Vec<&str> =
        ["cpu", "cpuset", "memory", "pids"].into_iter().filter(|name| !here(name)).collect();
    (!missing.is_empty()).then(|| Lack {
        what: format!("cgroup controllers: {} not below {}", missing.join(", "), root.display()),
        fix: "mount cgroups, or boot with cgroup_enable=memory".to_owned(),
    })
}

/// Makes one of everything in a namespace of this thread's own, which must end afterwards.
fn kernel() -> Vec<Lack> {
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        return vec![lack("network namespaces", &error, "run as root, on a kernel with NET_NS")];
    }
    let mut lacks = Vec::new();
    if let Err(error) = bridge() {
        lacks.push(lack("bridge", &error, "modprobe bridge"));
    }
    if let Err(error) = pair() {
        lacks.push(lack("veth", &error, "modprobe veth"));
    }
    for chain in &table::CHAINS {
        if let Err(error) = chain_of(chain) {
            let what = format!("nf_tables chain {} of type {}", chain.name, chain.kind);
            let fix = "modprobe nft_chain_nat nft_nat nft_masq nft_fib_inet nft_ct";
            lacks.push(lack(&what, &error, fix));
        }
    }
    lacks
}

fn bridge() -> io::Result<()> {
    Route::open()?.send([route::create_bridge("swarm0", [2, 66, 0, 0, 0, 1])])
}

fn pair() -> io::Result<()> {
    let netns = fs::File::open("/proc/thread-self/ns/net")?;
    let mac = [2, 66, 0, 0, 0, 2];
    let pair =
        Pair { name: "sw0", alias: "sw0", master: 0, netns: netns.as_fd(), inside: "sw1", mac };
    Route::open()?.send(route::create_pair(&pair))
}

fn chain_of(chain: &nft::Chain) -> io::Result<()> {
    let subnet = ipnetwork::Ipv4Network::from(std::net::Ipv4Addr::new(172, 29, 0, 0));
    let mut changes = vec![
        nft::add_table(TABLE),
        nft::add_map(TABLE, table::PORTS),
        nft::add_chain(TABLE, chain),
    ];
    let rules = table::rules(chain.name, "swarm0", subnet);
    changes.extend(rules.iter().map(|rule| nft::append_rule(TABLE, chain.name, rule)));
    let mut socket = Socket::open()?;
    nft::batch(&mut socket, changes)?;
    nft::chains(&mut socket, Family::Inet).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_host_has_what_the_tests_need() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            run_dir: dir.path().to_owned(),
            state_dir: dir.path().to_owned(),
            bridge: "swarm0".to_owned(),
            subnet: "172.29.0.0/16".parse().unwrap(),
        };

        assert_eq!(check(&options).await, []);
    }
}
