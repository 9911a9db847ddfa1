//! What a client did to one object, and what came of it.
//!
//! An object is whatever bears one name. Its state is nothing, or a life and the mark of the
//! write that is in force: each creation begins a life, each write has a mark of its own, so
//! what is read says which write it comes from.

use std::fmt;

/// One life of an object, from its creation to its removal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Life(pub u32);

/// The write a state comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Mark(pub u32);

/// What there is under a name; `None` when nothing is.
pub type State = Option<(Life, Mark)>;

/// A change of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Write {
    /// Begins a life where nothing is.
    Create(Life, Mark),
    /// Replaces a mark by another, if it still is in force.
    Update(Mark, Mark),
    /// Ends a life.
    Remove(Life),
}

impl Write {
    /// The state after it; `None` where it must be refused.
    #[must_use]
    pub fn applied(self, state: State) -> Option<State> {
        match (self, state) {
            (Self::Create(life, mark), None) => Some(Some((life, mark))),
            (Self::Update(from, to), Some((life, mark))) if mark == from => Some(Some((life, to))),
            (Self::Remove(of), Some((life, _))) if life == of => Some(None),
            _ => None,
        }
    }
}

/// What an answer says about the state. Refusals say something too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// It is this.
    State(State),
    /// There is something.
    Present,
    /// Whatever is there, it is not of this life.
    NotLife(Life),
    /// Whatever is there, it is not of this write.
    NotMark(Mark),
}

impl Seen {
    /// Whether the answer is true of a state.
    #[must_use]
    pub fn holds(self, state: State) -> bool {
        match self {
            Self::State(seen) => seen == state,
            Self::Present => state.is_some(),
            Self::NotLife(life) => state.is_none_or(|(now, _)| now != life),
            Self::NotMark(mark) => state.is_none_or(|(_, now)| now != mark),
        }
    }
}

/// What a call came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The write was acknowledged.
    Done(Write),
    /// Nobody knows: it happened once, at any time after it began, or never.
    Unknown(Write),
    /// The answer, also that of a write which was refused and had no effect.
    Seen(Seen),
}

/// One call of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Op {
    /// When it began, in nanoseconds of one clock for all clients.
    pub start: u64,
    /// When its answer was there. Means nothing for an unknown outcome.
    pub end: u64,
    /// What it came to.
    pub outcome: Outcome,
    /// The manager that was asked last, for people.
    pub manager: u8,
}

impl Op {
    /// The moment it must have happened by; `None` when it need not.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        (!matches!(self.outcome, Outcome::Unknown(_))).then_some(self.end)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (self.start / 1000, self.end / 1000);
        write!(f, "{start:>10} .. {end:>10} us  m{}  {:?}", self.manager, self.outcome)
    }
}
