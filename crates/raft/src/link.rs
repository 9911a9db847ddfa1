//! Asks other members, and remembers when they last answered and how long they took to write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::raft::AppendEntriesResponse;
use swarm_proto::v1::RaftFrame;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::dial::{Dial, Lost};
use crate::message::{Answer, Ask};
use crate::pace::Pace;
use crate::snapshot::Part;
use crate::type_config::{Member, MemberId};

/// Parts of a snapshot between the file and the wire.
const PARTS: usize = 4;
/// How long a part, or the end of it all, may take.
const PART_PATIENCE: Duration = Duration::from_secs(30);

/// Cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    dial: Dial,
    me: MemberId,
    epoch: u64,
    heard: Arc<Mutex<BTreeMap<MemberId, Instant>>>,
    paces: Arc<Mutex<BTreeMap<MemberId, Pace>>>,
}

impl Link {
    pub(crate) fn new(dial: Dial, me: MemberId, epoch: u64) -> Self {
        Self { dial, me, epoch, heard: Arc::default(), paces: Arc::default() }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn me(&self) -> MemberId {
        self.me
    }

    /// A frame of this member's.
    pub(crate) fn frame(&self, to: MemberId, body: Vec<u8>) -> RaftFrame {
        RaftFrame { epoch: self.epoch, from: self.me, to, body }
    }

    /// One question, and its answer within the time.
    pub(crate) async fn ask(
        &self,
        (to, member): (MemberId, &Member),
        ask: &Ask,
        patience: Duration,
    ) -> Result<Answer, Lost> {
        let frame = self.frame(to, ask.encode());
        let answered = timeout(patience, self.dial.0.call(&member.addr, frame)).await;
        let late = |_| Lost::Silent(format!("within {} ms", patience.as_millis()));
        self.opened(to, answered.map_err(late)??)
    }

    /// The same with entries the member was never sent, so that it answers once they are on its
    /// disk. One that did not write them in time is not known to be fast any more.
    pub(crate) async fn ask_to_write(
        &self,
        (to, member): (MemberId, &Member),
        ask: &Ask,
        patience: Duration,
    ) -> Result<Answer, Lost> {
        let began = Instant::now();
        let answered = self.ask((to, member), ask, patience).await;
        let mut paces = self.paces();
        match answered {
            Ok(Answer::Append(AppendEntriesResponse::Success)) => {
                paces.entry(to).or_default().note(began.elapsed());
            }
            _ => drop(paces.remove(&to)),
        }
        answered
    }

    /// Sends a snapshot as `parts` brings it.
    pub(crate) async fn install(
        &self,
        (to, member): (MemberId, &Member),
        mut parts: mpsc::Receiver<Part>,
    ) -> Result<Answer, Lost> {
        let (frames, outgoing) = mpsc::channel(1);
        let call = self.dial.0.install(&member.addr, outgoing);
        tokio::pin!(call);
        let late = || Lost::Silent(format!("within {} s", PART_PATIENCE.as_secs()));
        let mut patience = Box::pin(tokio::time::sleep(PART_PATIENCE));
        let mut waiting = None;
        let mut frames = Some(frames);
        loop {
            let room = async {
                match &frames {
                    Some(frames) if waiting.is_some() => frames.clone().reserve_owned().await.ok(),
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                answered = &mut call => return self.opened(to, answered?),
                () = &mut patience => return Err(late()),
                part = parts.recv(), if waiting.is_none() && frames.is_some() => match part {
                    Some(part) => waiting = Some(self.frame(to, part.encode())),
                    // The end: what is left is the answer.
                    None => frames = None,
                },
                permit = room => {
                    match (permit, waiting.take()) {
                        (Some(permit), Some(frame)) => drop(permit.send(frame)),
                        // Nobody takes any more: the call knows why.
                        _ => frames = None,
                    }
                    patience.as_mut().reset(Instant::now() + PART_PATIENCE);
                }
            }
        }
    }

    fn opened(&self, to: MemberId, frame: RaftFrame) -> Result<Answer, Lost> {
        if frame.epoch != self.epoch || frame.from != to {
            return Err(Lost::Silent("another member answered".into()));
        }
        let answer = Answer::decode(&frame.body);
        let answer = answer.map_err(|error| Lost::Silent(error.to_string()))?;
        self.heard().insert(to, Instant::now());
        Ok(answer)
    }

    /// The members that answered within that time, with this one.
    pub(crate) fn reachable(&self, within: Duration) -> BTreeSet<MemberId> {
        let now = Instant::now();
        let mut heard = self.heard();
        heard.retain(|_, at| now.saturating_duration_since(*at) <= within);
        heard.keys().copied().chain([self.me]).collect()
    }

    /// Those among these, heard within that time, of which is known what they take to write at
    /// most; the fastest first. What is known of any other member is forgotten.
    pub(crate) fn fastest(
        &self,
        among: &BTreeSet<MemberId>,
        within: Duration,
    ) -> Vec<(MemberId, Duration)> {
        let reachable = self.reachable(within);
        let mut paces = self.paces();
        paces.retain(|id, _| among.contains(id));
        let known = paces.iter().filter(|(id, _)| reachable.contains(id));
        let mut known: Vec<_> = known.filter_map(|(id, it)| Some((*id, it.most()?))).collect();
        known.sort_unstable_by_key(|(_, most)| *most);
        known
    }

    fn paces(&self) -> std::sync::MutexGuard<'_, BTreeMap<MemberId, Pace>> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, BTreeMap<MemberId, Instant>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A way for the parts of one snapshot.
    pub(crate) fn parts() -> (mpsc::Sender<Part>, mpsc::Receiver<Part>) {
        mpsc::channel(PARTS)
    }
}
