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

/// What came of what was sent, for who asks for the same again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    Arrived(Stretch),
    /// The member has no such entry.
    Lacks(Vote, Option<LogId>),
}

impl Known {
    fn is_about(&self, append: &AppendEntriesRequest<Types>) -> bool {
        match self {
            Self::Arrived(stretch) => stretch.begins(append),
            Self::Lacks(vote, after) => (*vote, *after) == (append.vote, append.prev_log_id),
        }
    }
}

/// What an append meets of what was sent before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Before {
    Nothing,
    /// The member has the first of its entries; the append has the rest only.
    Arrived,
    /// The member lacks the entry before them.
    Conflict,
}

/// What is on its way to a member, and what came of it. Dropping it gives up on the answer.
#[derive(Default)]
pub(crate) struct Flight {
    sent: Option<(Stretch, AbortOnDropHandle<Result<Answer, Lost>>)>,
    known: Option<Known>,
    /// The last entry that was sent.
    newest: Option<LogId>,
}

impl Flight {
    /// Waits for what is on its way, if the append asks for that again. May be dropped at any
    /// moment.
    pub(crate) async fn join(&mut self, append: &mut AppendEntriesRequest<Types>) -> Before {
        use AppendEntriesResponse::{Conflict, Success};
        let (vote, asked) = (append.vote, append.prev_log_id);
        self.known = self.known.filter(|known| known.is_about(append));
        if let Some(Known::Arrived(stretch)) = self.known {
            skip(append, stretch.last);
        }
        if let Some((stretch, answer)) = &mut self.sent
            && stretch.begins(append)
        {
            match answer.await {
                Ok(Ok(Answer::Append(Success))) => {
                    skip(append, stretch.last);
                    self.known = Some(Known::Arrived(Stretch { after: asked, ..*stretch }));
                }
                Ok(Ok(Answer::Append(Conflict))) if self.known.is_none() => {
                    self.known = Some(Known::Lacks(vote, asked));
                }
                _ => {}
            }
        }
        self.sent = None;
        match self.known {
            None => Before::Nothing,
            Some(Known::Arrived(_)) => Before::Arrived,
            Some(Known::Lacks(..)) => Before::Conflict,
        }
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

    /// Whether nothing of this was sent before, so that the member answers once it wrote it. What
    /// others sent it is not known: whatever comes first may be there.
    pub(crate) fn is_new(&mut self, stretch: &Stretch) -> bool {
        let new = self.newest.is_some() && stretch.after >= self.newest;
        self.newest = self.newest.max(Some(stretch.last));
        new
    }

    /// Forgets what came of everything: the member has other entries than was thought.
    pub(crate) fn forget(&mut self) {
        *self = Self { newest: self.newest, ..Self::default() };
    }
}

/// Leaves of the append what comes after `last`.
fn skip(append: &mut AppendEntriesRequest<Types>, last: LogId) {
    append.prev_log_id = Some(last);
    append.entries.retain(|entry| entry.log_id.index > last.index);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::type_config::LeaderId;

    #[test]
    fn only_what_was_never_sent_is_new() {
        let mut flight = Flight::default();
        let entry = |index| LogId::new(LeaderId::new(3, 1), index);
        let mut is_new = |after, last| {
            let vote = Vote::new_committed(3, 1);
            let stretch = Stretch { vote, after: Some(entry(after)), last: entry(last) };
            let new = flight.is_new(&stretch);
            flight.forget();
            new
        };

        assert!(!is_new(4, 6), "another leader may have sent it");
        assert!(is_new(6, 7));
        assert!(!is_new(6, 7), "again");
        assert!(!is_new(6, 9), "again, with more");
        assert!(!is_new(1, 9), "what it has is looked for further back");
        assert!(is_new(9, 12) && is_new(12, 13));
    }
}
