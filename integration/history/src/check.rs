//! Whether clients can have seen what they saw, had every object been in one place.
//!
//! Per object, a search for an order of its calls in which each happens between its beginning
//! and its answer, and each answer is true (Wing and Gong, with the configurations that led
//! nowhere kept). Because updates name the write they replace, few orders are possible, and the
//! search is short. Calls of unknown outcome may be left out, or come at any time after their
//! beginning, but once.
//!
//! An acknowledged write that was lost, a stale read, a write done twice and a refused one that
//! happened all leave no such order.

use std::collections::HashSet;
use std::fmt;

use crate::op::{Op, Outcome, State};

/// Configurations looked at before the search gives up. A history of the recorder needs some
/// hundreds.
const LIMIT: usize = 2_000_000;

/// What is wrong with the history of one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Why, in words.
    pub why: &'static str,
    /// The calls, by their beginning.
    pub ops: Vec<Op>,
    /// The most of them that fit into an order, and the one that then has no place.
    pub stuck: Option<(usize, Op)>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.why)?;
        if let Some((placed, op)) = &self.stuck {
            writeln!(f, "{placed} of {} calls fit; the first without a place:", self.ops.len())?;
            writeln!(f, "{op}")?;
        }
        writeln!(f, "all calls of the object:")?;
        self.ops.iter().try_for_each(|op| writeln!(f, "{op}"))
    }
}

impl std::error::Error for Violation {}

/// Checks the calls of one object, which begins as nothing.
///
/// # Errors
///
/// [`Violation`] when there is no order for them, or none was found in reasonable time.
pub fn check(ops: &[Op]) -> Result<(), Violation> {
    let mut ops = ops.to_vec();
    ops.sort_by_key(|op| op.start);
    let mut search = Search::new(&ops);
    match search.run() {
        Found::Order => Ok(()),
        Found::None => {
            let stuck = search.stuck();
            let why = "no order explains what the clients saw";
            Err(Violation { why, ops, stuck })
        }
        Found::TooMuch => {
            let why = "too many orders are possible: let objects have shorter lives";
            Err(Violation { why, ops, stuck: None })
        }
    }
}

enum Found {
    Order,
    None,
    TooMuch,
}

/// Calls that are placed, and the state they lead to.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Config {
    placed: Vec<u64>,
    state: State,
}

impl Config {
    fn has(&self, at: usize) -> bool {
        self.placed[at / 64] & (1 << (at % 64)) != 0
    }

    fn with(&self, at: usize, state: State) -> Self {
        let mut placed = self.placed.clone();
        placed[at / 64] |= 1 << (at % 64);
        Self { placed, state }
    }

    fn count(&self) -> usize {
        self.placed.iter().map(|word| word.count_ones() as usize).sum()
    }
}

struct Search<'a> {
    ops: &'a [Op],
    known: HashSet<Config>,
    /// The configuration with the most calls placed, for the report.
    best: Config,
}

impl<'a> Search<'a> {
    fn new(ops: &'a [Op]) -> Self {
        let best = Config { placed: vec![0; ops.len().div_ceil(64)], state: None };
        Self { ops, known: HashSet::new(), best }
    }

    fn run(&mut self) -> Found {
        let mut open = vec![self.best.clone()];
        while let Some(config) = open.pop() {
            let config = self.settled(config);
            if self.is_end(&config) {
                return Found::Order;
            }
            if config.count() > self.best.count() {
                self.best = config.clone();
            }
            if self.known.len() > LIMIT {
                return Found::TooMuch;
            }
            if self.known.insert(config.clone()) {
                open.extend(self.writes(&config));
            }
        }
        Found::None
    }

    /// Calls that may come next: no other that is not placed had ended when they began.
    fn next(&self, config: &Config) -> impl Iterator<Item = (usize, &'a Op)> {
        let waiting = |at: &usize| !config.has(*at);
        let indexes = 0..self.ops.len();
        let first_end = indexes.clone().filter(waiting).filter_map(|at| self.ops[at].deadline());
        let first_end = first_end.min().unwrap_or(u64::MAX);
        let ops = self.ops;
        let next: Vec<usize> =
            indexes.filter(waiting).take_while(|at| ops[*at].start <= first_end).collect();
        next.into_iter().map(move |at| (at, &ops[at]))
    }

    /// Places every answer that is true now: it changes nothing, so later is no better.
    fn settled(&self, mut config: Config) -> Config {
        loop {
            let state = config.state;
            let fits = |op: &Op| matches!(op.outcome, Outcome::Seen(seen) if seen.holds(state));
            let Some((at, _)) = self.next(&config).find(|(_, op)| fits(op)) else { return config };
            config = config.with(at, state);
        }
    }

    fn writes(&self, config: &Config) -> Vec<Config> {
        let after = |op: &Op| match op.outcome {
            Outcome::Done(write) | Outcome::Unknown(write) => write.applied(config.state),
            Outcome::Seen(_) => None,
        };
        let next = self.next(config);
        next.filter_map(|(at, op)| Some(config.with(at, after(op)?))).collect()
    }

    fn is_end(&self, config: &Config) -> bool {
        (0..self.ops.len()).all(|at| config.has(at) || self.ops[at].deadline().is_none())
    }

    fn stuck(&self) -> Option<(usize, Op)> {
        let waiting = (0..self.ops.len()).filter(|at| !self.best.has(*at));
        let first = waiting.map(|at| self.ops[at]).filter(|op| op.deadline().is_some());
        first.min_by_key(|op| op.end).map(|op| (self.best.count(), op))
    }
}

#[cfg(test)]
mod tests;
