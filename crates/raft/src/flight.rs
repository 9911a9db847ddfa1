//! Entries on their way to one member, for longer than openraft waits.
//!
//! openraft gives an append one heartbeat and then sends the same again. The answer takes the
//! member's disk, and the way of half a megabyte, so a disk or a line that is slow, not dead,
//! would never be done: each try begins from the start, and each one is written again. So what was
//! sent stays on its way for about a lease, and who asks for the same waits for that answer.
//!
//! Such an answer says what the member has, not when it last heard of its leader: only what was
//! sent after openraft asked may prove that. So the rest is sent then, if it is nothing at all.

use std::future::Future;

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use tokio_util::task::AbortOnDropHandle;

use crate::dial::Lost;
use crate::message::Answer;
use crate::type_config::{LogId, Types, Vote};

/// The entries of an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stretch {
    vote: Vote,
    /// The entry before the first.
    after: Option<LogId>,
    last: LogId,
}

impl Stretch {
    /// `None` for an append without entries.
    pub(crate) fn of(append: &AppendEntriesRequest<Types>) -> Option<Self> {
        let last = append.entries.last()?.log_id;
        Some(Self { vote: append.vote, after: append.prev_log_id, last })
    }

    /// Whether the append begins with these.
    fn begins(&self, append: &AppendEntriesRequest<Types>) -> bool {
        let has = |last| append.entries.iter().any(|entry| entry.log_id == last);
        (self.vote, self.after) == (append.vote, append.prev_log_id) && has(self.last)
    }
}

/// What is on its way to a member, and what of it arrived. Dropping it gives up on the answer.
#[derive(Default)]
pub(crate) struct Flight {
    sent: Option<(Stretch, AbortOnDropHandle<Result<Answer, Lost>>)>,
    arrived: Option<Stretch>,
}

impl Flight {
    /// Waits for what is on its way, if the append asks for that again, and takes out of the
    /// append what the member has. Returns whether it has any. May be dropped at any moment.
    pub(crate) async fn join(&mut self, append: &mut AppendEntriesRequest<Types>) -> bool {
        let asked = append.prev_log_id;
        self.arrived = self.arrived.filter(|arrived| arrived.begins(append));
        if let Some(arrived) = self.arrived {
            skip(append, arrived.last);
        }
        if let Some((stretch, answer)) = &mut self.sent
            && stretch.begins(append)
            && let Ok(Ok(Answer::Append(AppendEntriesResponse::Success))) = answer.await
        {
            self.arrived = Some(Stretch { after: asked, ..*stretch });
            skip(append, stretch.last);
        }
        self.sent = None;
        self.arrived.is_some()
    }

    /// Sends entries, and waits for the answer; it is waited for further when this is dropped.
    pub(crate) async fn send(
        &mut self,
        stretch: Option<Stretch>,
        answer: impl Future<Output = Result<Answer, Lost>> + Send + 'static,
    ) -> Result<Answer, Lost> {
        let Some(stretch) = stretch else { return answer.await };
        let answer = AbortOnDropHandle::new(tokio::spawn(answer));
        let (_, answer) = self.sent.insert((stretch, answer));
        let answered = answer.await;
        self.sent = None;
        answered.unwrap_or_else(|ended| Err(Lost::Silent(ended.to_string())))
    }

    /// Forgets everything: the member has other entries than was thought.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Leaves of the append what comes after `last`.
fn skip(append: &mut AppendEntriesRequest<Types>, last: LogId) {
    append.prev_log_id = Some(last);
    append.entries.retain(|entry| entry.log_id.index > last.index);
}
