//! Entries on their way to one member, for longer than openraft waits.
//!
//! openraft gives an append one heartbeat and then sends the same again. The answer takes the
//! member's disk, and the way of half a megabyte, so a disk or a line that is slow, not dead,
//! would never be done: each try begins from the start, and each one is written again. So what was
//! sent stays on its way for about a lease, and who asks for the same waits for that answer.
//!
//! Such an answer says what the member has, not when it last heard of its leader: only what was
//! sent after openraft asked may prove that. So an append without entries is sent then.
//!
//! What takes longer than a lease is tried again in smaller portions, until one arrives.

use std::future::Future;

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use tokio::task::JoinError;
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

    fn len(&self) -> usize {
        let before = self.after.map_or(0, |after| after.index + 1);
        usize::try_from((self.last.index + 1).saturating_sub(before)).unwrap_or(usize::MAX)
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
    /// The member has the first of its entries; the append has none, and is about the last of
    /// those.
    Arrived,
    /// The member lacks the entry before them.
    Conflict,
}

/// What is on its way to a member, and what came of it. Dropping it gives up on the answer.
pub(crate) struct Flight {
    sent: Option<(Stretch, AbortOnDropHandle<Result<Answer, Lost>>)>,
    known: Option<Known>,
    /// The last entry that was sent.
    newest: Option<LogId>,
    /// How many entries are sent at once.
    portion: usize,
}

impl Default for Flight {
    fn default() -> Self {
        Self { sent: None, known: None, newest: None, portion: usize::MAX }
    }
}

impl Flight {
    /// Waits for what is on its way, if the append asks for that again, and gives up on it if the
    /// append asks for something else; a heartbeat asks for nothing. May be dropped at any moment.
    pub(crate) async fn join(&mut self, append: &mut AppendEntriesRequest<Types>) -> Before {
        use AppendEntriesResponse::{Conflict, Success};
        if append.entries.is_empty() {
            return Before::Nothing;
        }
        self.known = self.known.filter(|known| known.is_about(append));
        if let (None, Some((stretch, answer))) = (self.known, &mut self.sent)
            && stretch.begins(append)
        {
            let stretch = *stretch;
            let answered = answer.await.unwrap_or_else(ended);
            self.known = match &answered {
                Ok(Answer::Append(Success)) => Some(Known::Arrived(stretch)),
                Ok(Answer::Append(Conflict)) => Some(Known::Lacks(stretch.vote, stretch.after)),
                _ => None,
            };
            self.adapt(&stretch, &answered);
        }
        self.sent = None;
        match self.known {
            None => Before::Nothing,
            Some(Known::Arrived(stretch)) => {
                append.prev_log_id = Some(stretch.last);
                append.entries.clear();
                Before::Arrived
            }
            Some(Known::Lacks(..)) => Before::Conflict,
        }
    }

    /// Leaves of the append what is sent at once; `None` if it has no entries.
    pub(crate) fn portion(&self, append: &mut AppendEntriesRequest<Types>) -> Option<Stretch> {
        append.entries.truncate(self.portion);
        Stretch::of(append)
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
        let answered = answer.await.unwrap_or_else(ended);
        self.sent = None;
        self.adapt(&stretch, &answered);
        answered
    }

    /// Sends half at once after what took too long, and a little more after what did not.
    fn adapt(&mut self, stretch: &Stretch, answered: &Result<Answer, Lost>) {
        match answered {
            Ok(_) => self.portion = self.portion.saturating_add(1 + self.portion / 8),
            Err(Lost::Silent(_)) => self.portion = (stretch.len() / 2).max(1),
            Err(Lost::Unreached(_) | Lost::Refused(_)) => {}
        }
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
        (self.sent, self.known) = (None, None);
    }
}

fn ended(panicked: JoinError) -> Result<Answer, Lost> {
    Err(Lost::Silent(panicked.to_string()))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use openraft::entry::RaftEntry as _;
    use tokio::sync::oneshot;

    use super::*;
    use crate::type_config::{LeaderId, LogEntry};

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

    #[tokio::test]
    async fn a_heartbeat_does_not_give_up_on_entries_that_are_on_their_way() {
        let id = |index| LogId::new(LeaderId::new(3, 1), index);
        let mut heartbeat = AppendEntriesRequest {
            vote: Vote::new_committed(3, 1),
            prev_log_id: Some(id(9)),
            entries: Vec::new(),
            leader_commit: None,
        };
        let entries = [10, 11].map(|index| LogEntry::new_blank(id(index))).to_vec();
        let mut append = AppendEntriesRequest { entries, ..heartbeat.clone() };
        let (mut flight, (answer, answered)) = (Flight::default(), oneshot::channel());
        let sent = flight.send(Stretch::of(&append), async { answered.await.unwrap() });
        assert!(sent.now_or_never().is_none(), "openraft waits no longer");

        assert_eq!(flight.join(&mut heartbeat).await, Before::Nothing);
        answer.send(Ok(Answer::Append(AppendEntriesResponse::Success))).unwrap();

        assert_eq!(flight.join(&mut append).await, Before::Arrived);
        assert_eq!((append.prev_log_id, append.entries.len()), (Some(id(11)), 0));
    }

    #[test]
    fn what_takes_too_long_is_halved_until_it_arrives() {
        let entry = |index| LogId::new(LeaderId::new(3, 1), index);
        let stretch = |last| {
            let vote = Vote::new_committed(3, 1);
            Stretch { vote, after: Some(entry(9)), last: entry(last) }
        };
        let (late, lost) = (Lost::Silent(String::new()), Lost::Unreached(String::new()));
        let mut flight = Flight::default();

        let portions = [
            (stretch(49), Err(late.clone())),
            (stretch(29), Err(late.clone())),
            (stretch(19), Err(lost)),
            (stretch(19), Ok(Answer::Append(AppendEntriesResponse::Success))),
            (stretch(10), Err(late)),
        ]
        .map(|(stretch, answered)| {
            flight.adapt(&stretch, &answered);
            flight.portion
        });

        assert_eq!(portions, [20, 10, 10, 12, 1]);
    }
}
