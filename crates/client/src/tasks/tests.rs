use std::sync::Arc;

use super::*;
use crate::settle::tests::{service, task};

/// The task of `web.1` that is meant, by its place in this list; newer ones stand later.
fn meant(states: &[TaskState], comes_first: fn(&Task) -> bool) -> usize {
    let service = service(1);
    let made = |(age, state): (usize, &TaskState)| {
        let mut task = task(&service, 1, *state);
        task.meta.created_at = Timestamp(i64::try_from(age).unwrap());
        Arc::make_mut(&mut task.template).service_annotations.name = "web".to_owned();
        task
    };
    let tasks: Vec<Task> = states.iter().enumerate().map(made).collect();
    let found = find("web.1", &tasks, &[], comes_first).unwrap().id;
    tasks.iter().position(|task| task.id == found).unwrap()
}

#[test]
fn a_name_means_the_task_that_runs_and_to_be_explained_the_newest_that_has_not_ended() {
    use TaskState::{Complete, Failed, Pending, Running};
    for (states, running, newest) in [
        (&[Running, Pending][..], 0, 1),
        (&[Running, Failed], 0, 0),
        (&[Pending, Failed], 1, 0),
        (&[Failed, Running, Pending, Failed], 1, 2),
        (&[Failed, Complete], 1, 1),
        (&[Running, Running], 1, 1),
    ] {
        assert_eq!((meant(states, runs), meant(states, lives)), (running, newest), "{states:?}");
    }
}
