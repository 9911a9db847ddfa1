//! Which cluster the node is part of, on disk: `node.toml` in the state directory.
//!
//! Becoming part of a cluster begins with `founding.toml` and ends with renaming it; leaving it
//! begins with removing `node.toml`. A node
//! without `node.toml` has no duties yet; what lies beside a `founding.toml` was never
//! acknowledged to anybody and may be replaced. A store with neither is not ours to judge.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};
use swarm_crypto::ca::{self, JoinToken, NodeKey};
use swarm_types::spec::node::Availability;
use swarm_types::{ClusterId, NodeId};

use crate::NodeError;

/// Newest format of the file this version reads and writes.
const FORMAT: u32 = 2;
const FILE: &str = "node.toml";
/// The file while the node is on its way into the cluster.
const ANNOUNCED: &str = "founding.toml";
/// A file that is being written.
const FRESH: &str = "node.toml.new";
/// The key of a join that has not come to its end, and the same while it is written.
const JOINING: [&str; 2] = ["joining.key", ".joining.key.tmp"];
/// All that is ever there.
pub(crate) const FILES: [&str; 5] = [FILE, ANNOUNCED, FRESH, JOINING[0], JOINING[1]];

/// Which cluster the node is part of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Membership {
    pub(crate) node: NodeId,
    pub(crate) cluster: ClusterId,
    pub(crate) part: Part,
}

/// The node's part in its cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Manager {
        /// Address others reach it at.
        advertise: SocketAddr,
        /// Those it joined by, `HOST:PORT` each; none for the first one.
        managers: Vec<String>,
    },
    Worker {
        /// Address others reach it at; `None` leaves it to the managers.
        advertise: Option<SocketAddr>,
        /// Those it joined by, `HOST:PORT` each.
        managers: Vec<String>,
    },
}

/// What every format has.
#[derive(Deserialize)]
struct Numbered {
    format: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    node: String,
    cluster: String,
    /// Absent in format 1, which only managers have.
    #[serde(default)]
    role: Role,
    advertise: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    managers: Vec<String>,
}

#[derive(Serialize, Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "snake_case")]
enum Role {
    #[default]
    Manager,
    Worker,
}

impl Membership {
    /// The membership in a state directory; `None` when the node is part of no cluster.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, NodeError> {
        let file = dir.join(FILE);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(NodeError::io("read", &file)(error)),
        };
        parse(&text).map(Some).map_err(|why| NodeError::Damaged { file, dir: dir.to_owned(), why })
    }

    /// Says that the node is about to become part of the cluster. Durable when it returns: from
    /// here to [`Self::confirm`] nothing is promised to anybody.
    pub(crate) fn announce(&self, dir: &Path) -> Result<(), NodeError> {
        let (file, fresh) = (dir.join(ANNOUNCED), dir.join(FRESH));
        let (role, advertise, managers) = match &self.part {
            Part::Manager { advertise, managers } => {
                (Role::Manager, Some(*advertise), managers.clone())
            }
            Part::Worker { advertise, managers } => (Role::Worker, *advertise, managers.clone()),
        };
        let (node, cluster) = (self.node.to_string(), self.cluster.to_string());
        let stored = Stored { format: FORMAT, node, cluster, role, advertise, managers };
        let text = toml::to_string(&stored)
            .map_err(|error| NodeError::io("write", &file)(io::Error::other(error)))?;
        let write = || {
            let mut out = File::create(&fresh)?;
            out.write_all(text.as_bytes())?;
            out.sync_all()?;
            fs::rename(&fresh, &file)?;
            File::open(dir)?.sync_all()
        };
        write().map_err(NodeError::io("write", &file))
    }

    /// Ends the membership. Durable when it returns: what lies beside it is of no cluster then.
    pub(crate) fn end(dir: &Path) -> Result<(), NodeError> {
        let file = dir.join(FILE);
        // As in a founding: whatever is left of it may be replaced.
        fs::rename(&file, dir.join(ANNOUNCED))
            .and_then(|()| File::open(dir)?.sync_all())
            .map_err(NodeError::io("remove", &file))
    }

    /// Forgets an announced membership, when nothing of it is left.
    pub(crate) fn forget(dir: &Path) -> Result<(), NodeError> {
        let file = dir.join(ANNOUNCED);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(NodeError::io("remove", &file)(error))
            }
            _ => Ok(()),
        }
    }

    /// The key to join with: that of an earlier try of the same join, which the cluster may have
    /// answered, so that it becomes no second node.
    pub(crate) fn joining_key(
        dir: &Path,
        token: &JoinToken,
        availability: Availability,
    ) -> Result<NodeKey, NodeError> {
        let key = ca::joining_key(&dir.join(JOINING[0]), token, availability.as_str());
        key.map_err(NodeError::certificates)
    }

    /// The next join is another one.
    pub(crate) fn forget_joining(dir: &Path) -> Result<(), NodeError> {
        ca::forget_joining_key(&dir.join(JOINING[0])).map_err(NodeError::certificates)
    }

    /// There is a store, and nothing that says what it is for.
    pub(crate) fn lost(dir: &Path) -> NodeError {
        let why = "it is missing, but there is a store of a member beside it".to_owned();
        NodeError::Damaged { file: dir.join(FILE), dir: dir.to_owned(), why }
    }

    /// Whether an announced membership was never confirmed.
    pub(crate) fn is_announced(dir: &Path) -> bool {
        dir.join(ANNOUNCED).exists()
    }

    /// Makes the announced membership the node's, whole or not at all, also after power loss.
    pub(crate) fn confirm(dir: &Path) -> Result<(), NodeError> {
        let file = dir.join(FILE);
        fs::rename(dir.join(ANNOUNCED), &file)
            .and_then(|()| File::open(dir)?.sync_all())
            .map_err(NodeError::io("write", &file))
    }
}

fn parse(text: &str) -> Result<Membership, String> {
    let Numbered { format } = toml::from_str(text).map_err(|error| error.to_string())?;
    // First of all: what else a newer one holds means nothing here.
    if format > FORMAT {
        return Err(format!(
            "it has format {format}, this version reads up to {FORMAT}: install the newer version \
             again"
        ));
    }
    let stored: Stored = toml::from_str(text).map_err(|error| error.to_string())?;
    let part = match (stored.role, stored.advertise) {
        (Role::Manager, Some(advertise)) => Part::Manager { advertise, managers: stored.managers },
        (Role::Manager, None) => return Err("advertise is missing".to_owned()),
        (Role::Worker, advertise) => Part::Worker { advertise, managers: stored.managers },
    };
    Ok(Membership {
        node: stored.node.parse().map_err(|error| format!("node: {error}"))?,
        cluster: stored.cluster.parse().map_err(|error| format!("cluster: {error}"))?,
        part,
    })
}

#[cfg(test)]
mod tests {
    use swarm_types::IdSource;

    use super::*;

    #[test]
    fn a_membership_survives_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut ids = IdSource::seeded(1);
        let advertise = SocketAddr::from(([10, 0, 0, 1], 2377));
        let managers = vec!["10.0.0.2:2377".to_owned()];
        for part in [
            Part::Manager { advertise, managers: Vec::new() },
            Part::Manager { advertise, managers: managers.clone() },
            Part::Worker { advertise: Some(advertise), managers: Vec::new() },
            Part::Worker { advertise: None, managers },
        ] {
            let membership = Membership { node: ids.draw(), cluster: ids.draw(), part };
            assert_eq!(Membership::load(dir.path()).unwrap(), None);

            membership.announce(dir.path()).unwrap();
            assert!(Membership::is_announced(dir.path()));
            assert_eq!(Membership::load(dir.path()).unwrap(), None);
            Membership::confirm(dir.path()).unwrap();

            assert_eq!(Membership::load(dir.path()).unwrap(), Some(membership));
            assert!(!Membership::is_announced(dir.path()));
            Membership::end(dir.path()).unwrap();
            assert!(Membership::is_announced(dir.path()));
            Membership::forget(dir.path()).unwrap();
            assert!(!Membership::is_announced(dir.path()));
        }
    }

    #[test]
    fn what_the_first_format_holds_is_a_manager() {
        let id = "a".repeat(swarm_types::ID_LEN);
        let first = format!(
            "format = 1\nnode = \"{id}\"\ncluster = \"{id}\"\nadvertise = \"10.0.0.1:2377\"\n"
        );

        let advertise = SocketAddr::from(([10, 0, 0, 1], 2377));
        let part = Part::Manager { advertise, managers: Vec::new() };
        assert_eq!(parse(&first).unwrap().part, part);
    }

    #[test]
    fn damage_and_newer_formats_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for text in [
            "",
            "format = 1",
            "format = 1\nnode = \"x\"\ncluster = \"y\"\nadvertise = \"1.2.3.4:1\"",
            "\0\0",
        ] {
            fs::write(dir.path().join(FILE), text).unwrap();
            let refusal = Membership::load(dir.path()).unwrap_err().to_string();
            assert!(refusal.contains(FILE), "{refusal}");
        }
        for newer in ["format = 3\nnode = \"\"", "format = 3\nwhat = \"is not known here\""] {
            assert!(parse(newer).unwrap_err().contains("newer version"), "{newer}");
        }
    }
}
