//! What a cluster is: the one file everything else follows from.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::Ipv4Addr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::DevError;

const FORMAT: u32 = 1;
const MAX_MANAGERS: u8 = 9;
const MAX_WORKERS: u8 = 100;

/// How many nodes of which kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shape {
    /// Nodes that hold the cluster's state: 1 to 9.
    pub managers: u8,
    /// Nodes that only run tasks: up to 100.
    pub workers: u8,
}

impl Shape {
    /// Refuses what cannot be made.
    pub(crate) fn check(self) -> Result<(), DevError> {
        if self.managers == 0 || self.managers > MAX_MANAGERS || self.workers > MAX_WORKERS {
            return Err(DevError::Refused(format!(
                "a cluster has 1 to {MAX_MANAGERS} managers and up to {MAX_WORKERS} workers, not {self}"
            )));
        }
        Ok(())
    }

    /// The nodes, managers first.
    pub(crate) fn nodes(self) -> Vec<Member> {
        let of = |role, count| (1..=count).map(move |number| Member { role, number });
        of(Role::Manager, self.managers).chain(of(Role::Worker, self.workers)).collect()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u8| if count == 1 { "" } else { "s" };
        let Self { managers, workers } = *self;
        write!(f, "{managers} manager{} and {workers} worker{}", plural(managers), plural(workers))
    }
}

/// What a node was made as.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Holds the cluster's state.
    Manager,
    /// Only runs tasks.
    Worker,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manager => "manager",
            Self::Worker => "worker",
        })
    }
}

/// One node: m1, m2, w1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Member {
    pub(crate) role: Role,
    pub(crate) number: u8,
}

impl Member {
    pub(crate) fn name(self) -> String {
        let letter = match self.role {
            Role::Manager => 'm',
            Role::Worker => 'w',
        };
        format!("{letter}{}", self.number)
    }

    /// Its number in the underlay.
    fn host(self) -> u8 {
        let base = match self.role {
            Role::Manager => 10,
            Role::Worker => 100,
        };
        base + self.number
    }
}

/// Packets of one node that another never gets, both by name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) struct Cut {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// What is on disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    format: u32,
    /// The underlay is 198.18.`subnet`.0/24.
    pub(crate) subnet: u8,
    pub(crate) shape: Shape,
    pub(crate) cuts: BTreeSet<Cut>,
}

impl Record {
    pub(crate) const fn new(subnet: u8, shape: Shape) -> Self {
        Self { format: FORMAT, subnet, shape, cuts: BTreeSet::new() }
    }

    /// The host's address.
    pub(crate) const fn host_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.subnet, 1)
    }

    pub(crate) fn address(&self, node: Member) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.subnet, node.host())
    }

    /// The node of that name, if the cluster has it.
    pub(crate) fn node(&self, name: &str) -> Option<Member> {
        self.shape.nodes().into_iter().find(|node| node.name() == name)
    }

    /// The nodes that the one of that name is cut off from, and in which direction if only in one.
    pub(crate) fn cut_off(&self, name: &str) -> Vec<String> {
        let lost = |from: &str, to: &str| {
            self.cuts.contains(&Cut { from: from.to_owned(), to: to.to_owned() })
        };
        let nodes = self.shape.nodes().into_iter().map(Member::name);
        nodes
            .filter_map(|other| match (lost(&other, name), lost(name, &other)) {
                (true, true) => Some(other),
                (true, false) => Some(format!("{other} (in)")),
                (false, true) => Some(format!("{other} (out)")),
                (false, false) => None,
            })
            .collect()
    }

    /// Reads it; `None` when there is none.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, DevError> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(DevError::io("read", path))?,
        };
        let unreadable = |why: String| DevError::Record { path: path.to_owned(), why };
        let record: Self =
            serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
        if record.format != FORMAT {
            return Err(unreadable(format!("it has format {}, not {FORMAT}", record.format)));
        }
        record.shape.check().map_err(|error| unreadable(error.to_string()))?;
        Ok(Some(record))
    }

    /// Writes it, whole or not at all, and waits for the disk: what follows from it comes next.
    pub(crate) fn save(&self, path: &Path) -> Result<(), DevError> {
        let failed = |error| DevError::io("write", path)(error);
        let draft = path.with_extension("draft");
        let bytes = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        let mut file = File::create(&draft).map_err(failed)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&draft, path).map_err(failed)?;
        let dir = path.parent().unwrap_or(Path::new("/"));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.json");
        let mut record = Record::new(7, Shape { managers: 3, workers: 2 });
        record.cuts.insert(Cut { from: "m1".into(), to: "w2".into() });

        record.save(&path).unwrap();

        assert_eq!(Record::load(&path).unwrap(), Some(record));
        assert_eq!(Record::load(&dir.path().join("absent")).unwrap(), None);
        let text = fs::read_to_string(&path).unwrap();
        let (newer, huge) = (text.replace(":1,", ":2,"), text.replace(":2}", ":255}"));
        for damaged in ["", "{}", &newer, &huge] {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(Record::load(&path), Err(DevError::Record { .. })), "{damaged}");
        }
    }

    #[test]
    fn each_node_knows_whom_it_is_cut_off_from() {
        let mut record = Record::new(7, Shape { managers: 2, workers: 1 });
        for (from, to) in [("m1", "m2"), ("m2", "m1"), ("w1", "m2")] {
            record.cuts.insert(Cut { from: from.into(), to: to.into() });
        }

        let cut_off = ["m1", "m2", "w1"].map(|name| record.cut_off(name).join(", "));

        assert_eq!(cut_off, ["m2", "m1, w1 (in)", "m2 (out)"]);
    }

    #[test]
    fn no_two_nodes_share_an_address_or_a_name() {
        let shape = Shape { managers: MAX_MANAGERS, workers: MAX_WORKERS };
        let record = Record::new(3, shape);
        let nodes = shape.nodes();

        let addresses: BTreeSet<_> = nodes.iter().map(|node| record.address(*node)).collect();

        assert_eq!(addresses.len(), 109);
        assert!(!addresses.contains(&record.host_address()));
        assert!(nodes.iter().all(|node| record.node(&node.name()) == Some(*node)));
        assert_eq!(record.node("w101"), None);
    }
}
