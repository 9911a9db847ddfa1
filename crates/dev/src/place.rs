//! Where the files of a cluster and of its nodes are, and how its objects are called.

use std::path::{Path, PathBuf};

use crate::DevError;
use crate::record::Record;

/// Directory of all clusters of this machine.
pub(crate) const ROOT: &str = "/var/lib/swarm-dev";
/// What names of clusters' cgroups begin with.
pub(crate) const PREFIX: &str = "swarm-dev-";
const MAX_NAME: usize = 24;

/// A cluster's directory and names.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) name: String,
}

impl Place {
    /// Refuses names that do not fit into a socket's path, or lead elsewhere.
    pub(crate) fn new(root: &Path, name: &str) -> Result<Self, DevError> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if !first || name.len() > MAX_NAME || !name.bytes().all(plain) {
            return Err(DevError::BadName(name.to_owned()));
        }
        Ok(Self { root: root.to_owned(), name: name.to_owned() })
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.dir().join("cluster.json")
    }

    /// The namespace of the bridge.
    pub(crate) fn hub(&self) -> PathBuf {
        self.dir().join("hub.netns")
    }

    /// Cgroup of everything in the cluster, within a hierarchy.
    pub(crate) fn cgroup(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    pub(crate) fn node(&self, node: &str) -> NodePlace {
        let cgroup = format!("{}/{node}", self.cgroup());
        NodePlace { dir: self.dir().join(node), cgroup }
    }

    /// The record of a cluster that is there.
    pub(crate) fn load(&self) -> Result<Record, DevError> {
        Record::load(&self.record())?.ok_or_else(|| DevError::NoCluster(self.name.clone()))
    }
}

/// The link to a cluster in the host's namespace. Named by the underlay, which is unique, since a
/// cluster's name may be too long.
pub(crate) fn host_link(subnet: u8) -> String {
    format!("swdev{subnet}")
}

/// A node's directory and cgroup.
#[derive(Clone, Debug)]
pub(crate) struct NodePlace {
    pub(crate) dir: PathBuf,
    pub(crate) cgroup: String,
}

impl NodePlace {
    pub(crate) fn netns(&self) -> PathBuf {
        self.dir.join("netns")
    }

    /// The daemon's state.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The daemon's run directory.
    pub(crate) fn run(&self) -> PathBuf {
        self.dir.join("run")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.run().join("swarm.sock")
    }

    pub(crate) fn containerd_socket(&self) -> PathBuf {
        self.dir.join("containerd.sock")
    }

    /// What containerd keeps.
    pub(crate) fn containerd_root(&self) -> PathBuf {
        self.dir.join("containerd")
    }

    /// What containerd forgets with a boot.
    pub(crate) fn containerd_state(&self) -> PathBuf {
        self.dir.join("containerd-state")
    }

    /// Cgroup of the daemon, containerd and what they start beside tasks.
    pub(crate) fn system_cgroup(&self) -> String {
        format!("{}/system", self.cgroup)
    }

    /// Parent of the containers' cgroups. Not "tasks": version 1 has a file of that name.
    pub(crate) fn tasks_cgroup(&self) -> String {
        format!("/{}/containers", self.cgroup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let of = |name: &str| Place::new(Path::new("/x"), name);

        for bad in ["", ".", "..", "a/b", "A", "1a", "-a", "a b", &"a".repeat(25)] {
            assert!(matches!(of(bad), Err(DevError::BadName(_))), "{bad}");
        }
        assert_eq!(of("ci-7").unwrap().dir(), Path::new("/x/ci-7"));
    }

    /// Paths of sockets may have 107 bytes.
    #[test]
    fn the_longest_name_leaves_room_for_sockets() {
        let place = Place::new(Path::new(ROOT), &"a".repeat(MAX_NAME)).unwrap();
        let longest = place.node("w100").containerd_socket();

        assert!(longest.as_os_str().len() + ".ttrpc".len() < 90);
    }
}
