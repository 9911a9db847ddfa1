//! Tests of the whole store: against openraft's suite, damage, failing disks and kills.

mod cluster;
mod crash;
mod damage;
mod elections;
mod figures;
mod force;
mod handle;
mod history;
mod membership;
mod order;
mod reseal;
mod sent;
mod slow;
mod suite;
mod wire;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use swarm_crypto::seal::{Key, Sealer};
use swarm_state::{Accepted, Snapshot};
use swarm_types::object::Meta;
use swarm_types::spec::Annotations;
use swarm_types::spec::secret::ConfigSpec;
use swarm_types::{Change, Config, Group, IdSource, NodeId, RequestId};
use tokio::sync::watch;

use crate::disk::{Disk, Step, Witness};
use crate::{Lane, Leadership, Options, Raft};

pub(crate) fn sealer() -> Sealer {
    Sealer::new(&Key::new([7; 32]), 1)
}

pub(crate) fn options(dir: &Path) -> Options {
    let node = IdSource::seeded(1).draw::<NodeId>();
    Options::new(dir.join("raft"), node, "127.0.0.1:2377".into())
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Creates a config; the same name gives the same group, request id and all.
pub(crate) fn create(name: &str, data: &[u8]) -> Arc<Group> {
    let seed = name.bytes().fold(17, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte));
    let mut ids = IdSource::seeded(seed);
    let request = ids.draw::<RequestId>();
    let annotations = Annotations { name: name.into(), ..Annotations::default() };
    let spec = ConfigSpec { annotations, data: data.into(), templating: None };
    let config = Config { id: ids.draw(), meta: Meta::default(), spec };
    let changes = vec![Change::CreateConfig(Box::new(config))];
    Arc::new(Group { request, expect: Vec::new(), changes })
}

pub(crate) async fn found(options: Options) -> Raft {
    let first = Arc::unwrap_or_clone(create("founding", b"first"));
    Raft::bootstrap(options, sealer(), first).await.unwrap()
}

/// Opens the store and waits until it leads.
pub(crate) async fn reopen(options: Options) -> Raft {
    let raft = Raft::open(options, sealer()).await.unwrap();
    until(raft.leadership(), |it| matches!(it, Leadership::Leader { .. })).await;
    raft
}

pub(crate) async fn until<T: Clone + std::fmt::Debug>(
    mut watch: watch::Receiver<T>,
    wanted: impl FnMut(&T) -> bool,
) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(20), watch.wait_for(wanted)).await;
    let found = waited.map(|value| value.unwrap().clone());
    found.unwrap_or_else(|_| panic!("last seen: {:?}", *watch.borrow()))
}

/// Waits for something that nobody announces.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = soon();
    while !holds() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn put(raft: &Raft, name: &str, data: &[u8]) -> Accepted {
    raft.propose(Lane::Control, create(name, data), soon()).await.unwrap()
}

pub(crate) fn get(snapshot: &Snapshot, name: &str) -> Option<Vec<u8>> {
    snapshot.config_by_name(name).map(|config| config.spec.data.clone())
}

/// Fails the step at which `left` is used up, and all after it: what a crash there leaves.
#[derive(Debug)]
pub(crate) struct Crash {
    left: AtomicI64,
}

impl Crash {
    pub(crate) fn after(steps: i64) -> (Arc<Self>, Disk) {
        let this = Arc::new(Self { left: AtomicI64::new(steps) });
        (this.clone(), Disk::seen_by(this))
    }

    /// Crashes after that many steps from now.
    pub(crate) fn arm(&self, steps: i64) {
        self.left.store(steps, Ordering::SeqCst);
    }

    pub(crate) fn came(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }
}

impl Witness for Crash {
    fn before(&self, _: Step, _: &Path) -> io::Result<()> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            ..=0 => Err(io::Error::other("crashed")),
            _ => Ok(()),
        }
    }
}
