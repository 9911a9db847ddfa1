use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// The table of the task manager, row by row.
#[test]
fn every_state_has_its_step() {
    use TaskState as S;
    let rows = [
        (S::Assigned, S::Running, Step::Enter(S::Accepted)),
        (S::Assigned, S::Ready, Step::Enter(S::Accepted)),
        (S::Accepted, S::Ready, Step::Enter(S::Preparing)),
        (S::Preparing, S::Ready, Step::Call(Call::Prepare)),
        (S::Ready, S::Ready, Step::Rest),
        (S::Ready, S::Running, Step::Enter(S::Starting)),
        (S::Starting, S::Running, Step::Call(Call::Start)),
        (S::Running, S::Running, Step::Call(Call::Wait)),
        (S::Running, S::Complete, Step::Call(Call::Wait)),
        (S::Running, S::Ready, Step::Rest),
        (S::Assigned, S::Shutdown, Step::Call(Call::Stop)),
        (S::Preparing, S::Remove, Step::Call(Call::Stop)),
        (S::Running, S::Shutdown, Step::Call(Call::Stop)),
        (S::Complete, S::Shutdown, Step::Rest),
        (S::Failed, S::Running, Step::Rest),
    ];
    for (observed, desired, step) in rows {
        assert_eq!(next(observed, desired), step, "{observed} wanted {desired}");
    }
}

#[test]
fn a_failure_is_named_after_the_state_it_came_in() {
    let impossible = |state| after(state, Said::Impossible);

    assert_eq!(impossible(TaskState::Preparing), Some(TaskState::Rejected));
    assert_eq!(impossible(TaskState::Starting), Some(TaskState::Failed));
    assert_eq!(after(TaskState::Running, Said::Exited { code: 0 }), Some(TaskState::Complete));
    assert_eq!(after(TaskState::Running, Said::Exited { code: 3 }), Some(TaskState::Failed));
}

/// A container as an executor would keep it, across crashes of the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Container {
    made: bool,
    starts: u32,
    runs: bool,
    code: i32,
}

impl Container {
    /// What it says; nothing while there is nothing to say.
    fn carry_out(&mut self, call: Call) -> Option<Said> {
        Some(match call {
            Call::Prepare => {
                self.made = true;
                Said::Prepared
            }
            Call::Start if !self.made => Said::Impossible,
            Call::Start => {
                if self.starts == 0 {
                    self.starts = 1;
                    self.runs = true;
                }
                Said::Started
            }
            Call::Wait if self.starts == 0 => Said::Impossible,
            Call::Wait if self.runs => return None,
            Call::Wait => Said::Exited { code: self.code },
            Call::Stop => {
                self.runs = false;
                Said::Stopped
            }
        })
    }
}

/// One step of the agent on `container`; the new observed state.
fn take_step(observed: TaskState, desired: TaskState, container: &mut Container) -> TaskState {
    match next(observed, desired) {
        Step::Rest => observed,
        Step::Enter(state) => state,
        Step::Call(call) => {
            container.carry_out(call).and_then(|said| after(observed, said)).unwrap_or(observed)
        }
    }
}

fn states() -> impl Strategy<Value = TaskState> {
    select(TaskState::ALL.to_vec())
}

fn answers() -> impl Strategy<Value = Said> {
    prop_oneof![
        Just(Said::Prepared),
        Just(Said::Started),
        (0..3).prop_map(|code| Said::Exited { code }),
        Just(Said::Stopped),
        Just(Said::Impossible),
    ]
}

proptest! {
    /// Whatever the managers want and the executor says, a state never goes back, and an ended
    /// task stays as it ended.
    #[test]
    fn states_only_grow(
        start in states(),
        turns in prop::collection::vec((states(), answers()), 0..40),
    ) {
        let mut observed = start;
        for (desired, said) in turns {
            let entered = match next(observed, desired) {
                Step::Rest => observed,
                Step::Enter(state) => state,
                Step::Call(_) => after(observed, said).unwrap_or(observed),
            };
            prop_assert!(entered >= observed);
            prop_assert!(!observed.is_terminal() || entered == observed);
            prop_assert_eq!(after(entered, said).filter(|state| *state <= entered), None);
            observed = entered;
        }
    }

    /// A task told to end ends as soon as a stop works, however often it did not.
    #[test]
    fn a_task_told_to_end_ends(
        start in states(),
        end in select(vec![TaskState::Shutdown, TaskState::Remove]),
        refusals in 0..20,
    ) {
        let mut observed = start;
        for turn in 0..=refusals {
            match next(observed, end) {
                Step::Rest => prop_assert!(observed.is_terminal()),
                Step::Enter(state) => prop_assert!(false, "enters {}", state),
                Step::Call(call) => {
                    prop_assert_eq!(call, Call::Stop);
                    let worked = (turn == refusals).then_some(Said::Stopped);
                    observed = worked.and_then(|said| after(observed, said)).unwrap_or(observed);
                }
            }
        }
        prop_assert!(observed.is_terminal());
    }

    /// After a crash the agent may know any earlier state of the task. It comes to the same end,
    /// the container is started once, and nothing runs when the task has ended.
    #[test]
    fn a_crash_at_any_point_is_safe(
        crashes in prop::collection::vec((0usize..12, any::<prop::sample::Index>()), 0..6),
        exit in prop::option::of(0i32..3),
        stop_at in 0usize..40,
    ) {
        let mut container = Container { code: exit.unwrap_or(0), ..Container::default() };
        let mut known = vec![TaskState::Assigned];
        let mut crashes = crashes.into_iter();
        let mut until_crash = crashes.next();
        for turn in 0..60 {
            let observed = known[known.len() - 1];
            let desired = if turn >= stop_at { TaskState::Shutdown } else { TaskState::Running };
            let entered = take_step(observed, desired, &mut container);
            if exit.is_some() && turn % 3 == 2 {
                container.runs = false;
            }
            known.push(entered);
            match &mut until_crash {
                Some((0, back)) => {
                    known.truncate(back.index(known.len()) + 1);
                    until_crash = crashes.next();
                }
                Some((left, _)) => *left -= 1,
                None => {}
            }
        }
        let last = known[known.len() - 1];
        prop_assert!(last.is_terminal(), "{} {:?}", last, container);
        prop_assert!(!container.runs);
        prop_assert!(container.starts <= 1);
    }
}
