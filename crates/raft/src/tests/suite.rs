//! openraft's own tests of a store.

use openraft::testing::{StoreBuilder, Suite};
use tempfile::TempDir;

use super::sealer;
use crate::disk::Disk;
use crate::fault::Fault;
use crate::log::{self, Founding, Log, Seal};
use crate::machine::Machine;
use crate::mark::SnapshotRef;
use crate::snapshot::Snapshots;
use crate::type_config::{LeaderId, LogId, StorageError, Types};

struct Builder;

impl StoreBuilder<Types, Log, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, Log, Machine), StorageError> {
        let dir = tempfile::tempdir().unwrap();
        let founding = Founding {
            dir: dir.path().join("raft"),
            disk: Disk::default(),
            sealer: sealer(),
            fault: Fault::default(),
        };
        let found = log::create(founding.clone(), 1, 1).await.unwrap();
        // It purges without a snapshot, which nothing else may.
        let last = LogId::new(LeaderId::new(u64::MAX, 1), u64::MAX - 1);
        found.log.expect_snapshot(Some(SnapshotRef { id: [0; 16], last }));
        // One store id for all, since the suite hands the file of one store to another.
        let seal = Seal { sealer: sealer(), store: [9; 16] };
        let disk = Disk::default();
        let opened = Snapshots::open(founding.snapshots(), disk, seal, found.log.clone(), None);
        let machine = Machine::new(None, opened.unwrap().0, 16, founding.fault);
        Ok((dir, found.log, machine))
    }
}

#[test]
fn the_store_passes_openrafts_suite() {
    Suite::test_all(Builder).unwrap();
}
