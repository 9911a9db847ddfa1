//! Histories made by rule: valid ones pass, and each way to break one is found.

use proptest::prelude::*;

use super::*;
use crate::op::{Life, Mark, Seen, Write};

const LIVES: Life = Life(1);

fn op(start: u64, end: u64, outcome: Outcome) -> Op {
    Op { start, end, outcome, manager: 1 }
}

fn state(life: u32, mark: u32) -> Outcome {
    Outcome::Seen(Seen::State(Some((Life(life), Mark(mark)))))
}

const NOTHING: Outcome = Outcome::Seen(Seen::State(None));
const CREATED: Outcome = Outcome::Done(Write::Create(LIVES, Mark(1)));
const REMOVED: Outcome = Outcome::Done(Write::Remove(LIVES));
const UPDATED: Outcome = Outcome::Done(Write::Update(Mark(1), Mark(2)));

fn of(outcomes: &[Outcome]) -> Vec<Op> {
    let at = |(index, outcome): (usize, &Outcome)| {
        let start = 10 * index as u64;
        op(start, start + 5, *outcome)
    };
    outcomes.iter().enumerate().map(at).collect()
}

#[test]
fn one_call_after_another_has_one_order() {
    let update = Write::Update(Mark(1), Mark(2));
    for valid in [
        [].as_slice(),
        &[NOTHING, CREATED, state(1, 1), UPDATED, state(1, 2), REMOVED, NOTHING],
        &[CREATED, Outcome::Seen(Seen::Present), REMOVED, Outcome::Seen(Seen::NotLife(LIVES))],
        &[CREATED, UPDATED, Outcome::Seen(Seen::NotMark(Mark(1)))],
        // Whether it happened shows in what is read, if ever.
        &[CREATED, Outcome::Unknown(update), state(1, 1), state(1, 2)],
        &[CREATED, Outcome::Unknown(update), REMOVED],
        &[CREATED, Outcome::Unknown(Write::Remove(LIVES)), state(1, 1), NOTHING],
    ] {
        assert_eq!(check(&of(valid)), Ok(()), "{valid:?}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let create = Write::Create(LIVES, Mark(1));
    for broken in [
        // An acknowledged write that was lost, seen by a read, a refusal or another write.
        [CREATED, NOTHING].as_slice(),
        &[CREATED, Outcome::Seen(Seen::NotLife(LIVES))],
        &[CREATED, Outcome::Done(Write::Create(Life(2), Mark(9)))],
        &[CREATED, UPDATED, state(1, 1)],
        &[CREATED, UPDATED, Outcome::Done(Write::Update(Mark(1), Mark(3)))],
        // A read of the past.
        &[CREATED, REMOVED, state(1, 1)],
        &[CREATED, UPDATED, REMOVED, Outcome::Seen(Seen::Present)],
        // A write that was refused, or that nobody made.
        &[state(1, 1)],
        &[CREATED, Outcome::Seen(Seen::NotMark(Mark(1))), state(1, 1)],
        // Once only.
        &[Outcome::Unknown(create), state(1, 1), REMOVED, state(1, 1)],
        // It had not begun.
        &[NOTHING, state(1, 1), Outcome::Unknown(create)],
        // It was seen undone after it was seen done.
        &[Outcome::Unknown(create), state(1, 1), NOTHING],
    ] {
        assert!(check(&of(broken)).is_err(), "{broken:?}");
    }
}

#[test]
fn calls_at_the_same_time_come_in_any_order() {
    let ops = [op(0, 5, CREATED), op(10, 90, UPDATED), op(20, 30, state(1, 2))];
    let late = op(40, 50, state(1, 1));

    assert_eq!(check(&ops), Ok(()));
    let refused = check(&[&ops[..], &[late]].concat()).unwrap_err();

    assert_eq!(refused.stuck, Some((3, late)));
    assert!(refused.to_string().contains("m1  Seen(State(Some((Life(1), Mark(1)))))"), "{refused}");
}

/// Calls as a store in one place would answer them, and what is there in the end: each happens at
/// one moment, drawn with how long it takes before and after, and whether its answer is heard.
fn valid(steps: &[(u8, u64, u64, bool)]) -> (Vec<Op>, State) {
    let (mut now, mut state, mut fresh): (u64, State, u32) = (1_000, None, 0);
    let mut ops = Vec::new();
    for &(kind, before, after, heard) in steps {
        now += 10;
        fresh += 1;
        let write = match (kind % 4, state) {
            (0, None) => Some(Write::Create(Life(fresh), Mark(fresh))),
            (1 | 2, Some((_, mark))) => Some(Write::Update(mark, Mark(fresh))),
            (0, Some((life, _))) => Some(Write::Remove(life)),
            _ => None,
        };
        let outcome = match write {
            Some(write) => {
                state = write.applied(state).unwrap();
                if heard { Outcome::Done(write) } else { Outcome::Unknown(write) }
            }
            None => Outcome::Seen(Seen::State(state)),
        };
        ops.push(op(now - before, now + after, outcome));
    }
    (ops, state)
}

fn steps() -> impl Strategy<Value = Vec<(u8, u64, u64, bool)>> {
    let step = (any::<u8>(), 0..60u64, 0..60u64, prop::bool::weighted(0.9));
    prop::collection::vec(step, 1..60)
}

/// The calls, and a read after all of them.
fn and_then(ops: &[Op], state: State) -> Vec<Op> {
    let end = ops.iter().map(|op| op.end).max().unwrap();
    [ops, &[op(end + 1, end + 2, Outcome::Seen(Seen::State(state)))]].concat()
}

proptest! {
    #[test]
    fn what_happened_in_one_place_passes(steps in steps()) {
        let (ops, last) = valid(&steps);

        prop_assert_eq!(check(&and_then(&ops, last)), Ok(()));
    }

    /// Writes that were acknowledged are gone, and who looks sees a state before them.
    #[test]
    fn a_lost_write_is_found(steps in steps()) {
        let mut steps = steps;
        steps.iter_mut().for_each(|step| step.3 = true);
        let (ops, last) = valid(&steps);
        let mut state = None;
        for op in &ops {
            if state != last {
                prop_assert!(check(&and_then(&ops, state)).is_err(), "{:?}", state);
            }
            if let Outcome::Done(write) = op.outcome {
                state = write.applied(state).unwrap();
            }
        }
    }

    /// A write that happened, whatever its client heard, is in force again after others were.
    #[test]
    fn a_doubled_write_is_found(steps in steps()) {
        let (ops, last) = valid(&steps);
        let ops = and_then(&ops, last);
        let seen = ops.iter().filter_map(|op| match op.outcome {
            Outcome::Seen(Seen::State(Some(state))) => Some(Some(state)),
            _ => None,
        });
        for again in seen.filter(|state| *state != last) {
            prop_assert!(check(&and_then(&ops, again)).is_err(), "{:?}", again);
        }
    }

    /// An answer from a replica that lags behind an update which was acknowledged.
    #[test]
    fn a_stale_read_is_found(steps in steps()) {
        let (ops, _) = valid(&steps);
        let mut state = None;
        for done in &ops {
            let (Outcome::Done(write) | Outcome::Unknown(write)) = done.outcome else { continue };
            let before = state;
            state = write.applied(state).unwrap();
            if matches!(done.outcome, Outcome::Done(Write::Update(..))) {
                let stale = op(done.end + 1, done.end + 2, Outcome::Seen(Seen::State(before)));
                prop_assert!(check(&[&ops[..], &[stale]].concat()).is_err());
            }
        }
    }
}
