//! Several members in one process, on stores of their own, over a network that fails as told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, pending};
use futures::stream;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use swarm_proto::v1::RaftFrame;
use swarm_state::{Accepted, Snapshot};
use swarm_types::{Group, IdSource, NodeId};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{create, sealer, soon};
use crate::dial::{Dial, Lost, Wire, lost};
use crate::disk::Disk;
use crate::door::Door;
use crate::type_config::Member;
use crate::{Lane, Leadership, Limits, Options, ProposeError, Raft};

/// What frames may meet on their way.
#[derive(Default)]
struct Faults {
    /// Pairs between which nothing arrives, in that direction.
    cut: BTreeSet<(usize, usize)>,
    /// Of a thousand frames, how many are lost, and how many arrive twice.
    lost: u32,
    twice: u32,
    /// Longest a frame takes.
    delay: Duration,
    /// Bytes of a frame that pass in a second.
    rate: Option<u32>,
    /// Frames of a snapshot after which the line breaks, each time.
    breaks_after: Option<usize>,
}

pub(super) struct Net {
    doors: Mutex<BTreeMap<String, (usize, Door)>>,
    faults: Mutex<Faults>,
    random: Mutex<StdRng>,
    /// Bytes of all frames but those of snapshots.
    carried: AtomicUsize,
}

impl Net {
    fn seeded(seed: u64) -> Arc<Self> {
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        let (doors, faults) = (Mutex::default(), Mutex::default());
        Arc::new(Self { doors, faults, random, carried: AtomicUsize::default() })
    }

    /// Lets one frame in a thousand times `lost` be lost, `twice` come twice, all take a while.
    pub(super) fn weather(&self, lost: u32, twice: u32, delay: Duration) {
        let mut faults = self.faults.lock().unwrap();
        (faults.lost, faults.twice, faults.delay) = (lost, twice, delay);
    }

    /// Lets the line break after that many frames of a snapshot, each time it is sent.
    pub(super) fn break_snapshots(&self, after: usize) {
        self.faults.lock().unwrap().breaks_after = Some(after);
    }

    /// Lets that many bytes of a frame pass in a second.
    pub(super) fn throttle(&self, rate: u32) {
        self.faults.lock().unwrap().rate = Some(rate);
    }

    /// Nothing goes from the first to the second.
    pub(super) fn cut(&self, from: usize, to: usize) {
        self.faults.lock().unwrap().cut.insert((from, to));
    }

    pub(super) fn heal(&self) {
        self.faults.lock().unwrap().cut.clear();
    }

    fn passes(&self, from: usize, to: usize) -> bool {
        let faults = self.faults.lock().unwrap();
        let lost = self.random.lock().unwrap().random_range(0..1000) < faults.lost;
        !lost && !faults.cut.contains(&(from, to))
    }

    pub(super) fn carried(&self) -> usize {
        self.carried.load(Ordering::Relaxed)
    }

    async fn carry(&self, bytes: usize) {
        self.carried.fetch_add(bytes, Ordering::Relaxed);
        let rate = self.faults.lock().unwrap().rate;
        if let Some(rate) = rate {
            tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / f64::from(rate))).await;
        }
    }

    async fn travel(&self) {
        let longest = self.faults.lock().unwrap().delay;
        if !longest.is_zero() {
            let part = self.random.lock().unwrap().random_range(0.0..1.0);
            tokio::time::sleep(longest.mul_f64(part)).await;
        }
    }

    fn door(&self, addr: &str) -> Result<(usize, Door), Lost> {
        let found = self.doors.lock().unwrap().get(addr).cloned();
        found.ok_or_else(|| Lost::Unreached("nobody listens".into()))
    }
}

/// One member's end of the network.
struct End {
    net: Arc<Net>,
    me: usize,
}

impl Wire for End {
    fn call<'a>(
        &'a self,
        addr: &'a str,
        frame: RaftFrame,
    ) -> BoxFuture<'a, Result<RaftFrame, Lost>> {
        Box::pin(async move {
            let (there, door) = self.net.door(addr)?;
            self.net.carry(frame.body.len()).await;
            self.net.travel().await;
            if !self.net.passes(self.me, there) {
                return pending().await;
            }
            let twice = {
                let twice = self.net.faults.lock().unwrap().twice;
                self.net.random.lock().unwrap().random_range(0..1000) < twice
            };
            if twice {
                // What comes of the first is lost.
                let _ = door.answer(node(self.me), frame.clone()).await;
                self.net.travel().await;
            }
            let answer = door.answer(node(self.me), frame).await;
            self.net.travel().await;
            if !self.net.passes(there, self.me) {
                return pending().await;
            }
            answer.map_err(lost)
        })
    }

    fn install<'a>(
        &'a self,
        addr: &'a str,
        mut frames: mpsc::Receiver<RaftFrame>,
    ) -> BoxFuture<'a, Result<RaftFrame, Lost>> {
        Box::pin(async move {
            let (there, door) = self.net.door(addr)?;
            let net = self.net.clone();
            let me = self.me;
            let mut left = net.faults.lock().unwrap().breaks_after.unwrap_or(usize::MAX);
            let arriving = stream::poll_fn(move |context| match frames.poll_recv(context) {
                std::task::Poll::Ready(Some(_)) if left == 0 || !net.passes(me, there) => {
                    std::task::Poll::Ready(Some(Err(tonic::Status::unavailable("cut"))))
                }
                frame => {
                    left -= usize::from(frame.is_ready());
                    frame.map(|frame| frame.map(Ok))
                }
            });
            door.install(arriving).await.map_err(lost)
        })
    }
}

/// The node with that number.
pub(super) fn node(number: usize) -> NodeId {
    IdSource::seeded(number as u64 + 1).draw()
}

pub(super) struct Cluster {
    pub(super) net: Arc<Net>,
    pub(super) rafts: Vec<Option<Raft>>,
    pub(super) limits: Limits,
    /// Of the first members; the others have usual ones.
    disks: Vec<Disk>,
    home: TempDir,
}

impl Cluster {
    /// As many members, all of them voters.
    pub(super) async fn of(count: usize, seed: u64, limits: Limits) -> Self {
        Self::on(vec![Disk::default(); count], seed, limits).await
    }

    /// The same on these disks.
    pub(super) async fn on(disks: Vec<Disk>, seed: u64, limits: Limits) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut this = Self { net: Net::seeded(seed), rafts: Vec::new(), limits, disks, home };
        let (first, disk) = (Arc::unwrap_or_clone(create("founding", b"")), this.disk(0));
        let founder = Raft::bootstrap_on(disk, this.options(0), sealer(), first).await.unwrap();
        this.open_door(0, founder);
        for number in 1..this.disks.len() {
            this.join(number).await;
            this.add(number).await;
        }
        this
    }

    pub(super) fn options(&self, number: usize) -> Options {
        let dial = Dial(Arc::new(End { net: self.net.clone(), me: number }));
        let options = Options::new(self.dir(number), node(number), addr(number));
        Options { dial, limits: self.limits, ..options }
    }

    fn disk(&self, number: usize) -> Disk {
        self.disks.get(number).cloned().unwrap_or_default()
    }

    pub(super) fn dir(&self, number: usize) -> PathBuf {
        self.home.path().join(format!("raft-{number}"))
    }

    /// Starts a member with an empty store; the others do not know it yet.
    pub(super) async fn join(&mut self, number: usize) {
        let disk = self.disk(number);
        let raft = Raft::join_on(disk, self.options(number), sealer(), 1).await.unwrap();
        self.open_door(number, raft);
    }

    /// Has the others take it.
    pub(super) async fn add(&self, number: usize) {
        let member = Member { node: node(number), addr: addr(number) };
        let id = self.raft(number).info().member;
        let asked = self.rafts.iter().flatten().next().unwrap();
        asked.add(id, member, soon()).await.unwrap();
    }

    pub(super) fn open_door(&mut self, number: usize, raft: Raft) {
        self.net.doors.lock().unwrap().insert(addr(number), (number, Door::new(raft.clone())));
        if self.rafts.len() <= number {
            self.rafts.resize(number + 1, None);
        }
        self.rafts[number] = Some(raft);
    }

    /// The member is found at the address of another number.
    pub(super) fn move_door(&mut self, number: usize, to: usize, raft: Raft) {
        let door = Door::new(raft.clone());
        self.net.doors.lock().unwrap().insert(addr(to), (number, door));
        self.rafts[number] = Some(raft);
    }

    pub(super) fn raft(&self, number: usize) -> &Raft {
        self.rafts[number].as_ref().unwrap()
    }

    /// Ends a member without a word to the others.
    pub(super) async fn kill(&mut self, number: usize) {
        self.net.doors.lock().unwrap().remove(&addr(number));
        let raft = self.rafts[number].take().unwrap();
        raft.shutdown().await;
    }

    pub(super) async fn start(&mut self, number: usize) {
        self.start_on(self.disk(number), number).await;
    }

    pub(super) async fn start_on(&mut self, disk: Disk, number: usize) {
        let raft = Raft::open_on(disk, self.options(number), sealer()).await.unwrap();
        self.open_door(number, raft);
    }

    /// Cuts these off from all others, both ways.
    pub(super) fn isolate(&self, some: &[usize]) {
        for one in some {
            for other in (0..self.rafts.len()).filter(|it| !some.contains(it)) {
                self.net.cut(*one, other);
                self.net.cut(other, *one);
            }
        }
    }

    /// The one among `some` that leads, once one does.
    pub(super) async fn leader_among(&self, some: &[usize]) -> usize {
        let leads = |number: &usize| {
            let raft = self.rafts[*number].as_ref();
            raft.is_some_and(|it| matches!(*it.leadership().borrow(), Leadership::Leader { .. }))
        };
        super::eventually("a leader", || some.iter().any(leads)).await;
        some.iter().copied().find(leads).unwrap_or(some[0])
    }

    pub(super) async fn leader(&self) -> usize {
        self.leader_among(&(0..self.rafts.len()).collect::<Vec<_>>()).await
    }

    /// Writes at a member until it is acknowledged, always the same group.
    pub(super) async fn put(&self, number: usize, name: &str, data: &[u8]) -> Accepted {
        self.write(number, create(name, data)).await
    }

    pub(super) async fn write(&self, number: usize, group: Arc<Group>) -> Accepted {
        write(self.raft(number), group).await
    }

    /// Reads at a member, as soon as there is a quorum to vouch for it.
    pub(super) async fn read(&self, number: usize) -> Snapshot {
        let deadline = soon();
        loop {
            match self.raft(number).read(deadline).await {
                Ok(snapshot) => return snapshot,
                Err(error) => {
                    let infos: Vec<_> = self.rafts.iter().flatten().map(Raft::info).collect();
                    assert!(Instant::now() < deadline, "{number}: {error}: {infos:?}");
                }
            }
        }
    }

    /// Stops everything that runs.
    pub(super) async fn end(mut self) {
        for raft in self.rafts.iter_mut().filter_map(Option::take) {
            raft.shutdown().await;
        }
    }
}

pub(super) fn addr(number: usize) -> String {
    format!("10.0.0.{}:2377", number + 1)
}

pub(super) async fn put(raft: &Raft, name: &str, data: &[u8]) -> Accepted {
    write(raft, create(name, data)).await
}

async fn write(raft: &Raft, group: Arc<Group>) -> Accepted {
    let deadline = soon();
    loop {
        let attempt = Instant::now() + Duration::from_millis(800);
        match raft.propose(Lane::Control, group.clone(), attempt).await {
            Ok(accepted) => return accepted,
            Err(
                ProposeError::NotLeader { .. }
                | ProposeError::Unknown { .. }
                | ProposeError::Busy { .. },
            ) => assert!(Instant::now() < deadline, "{group:?} was never acknowledged"),
            Err(other) => panic!("{group:?}: {other}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
