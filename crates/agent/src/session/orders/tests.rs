use swarm_proto::shared::TemplateWriter;
use swarm_types::TaskId;

use super::*;
use crate::task::samples::task;

fn message(kind: Kind, index: u64, versions: (&str, &str)) -> v1::AssignmentsMessage {
    v1::AssignmentsMessage {
        kind: kind.into(),
        epoch: 1,
        applied_index: index,
        applies_to: versions.0.to_owned(),
        results_in: versions.1.to_owned(),
        ..v1::AssignmentsMessage::default()
    }
}

fn with_tasks(tasks: &[Task]) -> v1::AssignmentsMessage {
    let mut writer = TemplateWriter::new();
    let update = |task| v1::AssignmentUpdate { update: Some(Update::Task(task)) };
    let updates = tasks.iter().map(|task| update(writer.task(task))).collect();
    let templates = writer.into_templates();
    v1::AssignmentsMessage { templates, updates, ..message(Kind::Complete, 1, ("", "1")) }
}

#[test]
fn messages_are_obeyed_in_a_row() {
    let (mut orders, mut obeyed) = (Orders::default(), Obeyed::default());

    orders.read(message(Kind::Complete, 5, ("", "1")), &mut obeyed).unwrap();
    orders.read(message(Kind::Incremental, 6, ("1", "2")), &mut obeyed).unwrap();
    let gap = orders.read(message(Kind::Incremental, 9, ("3", "4")), &mut obeyed);

    assert!(matches!(gap, Err(Disobeyed::Gap { .. })));
    assert_eq!(obeyed, Obeyed { epoch: 1, index: 6 });
    let first = Orders::default().read(message(Kind::Incremental, 9, ("", "1")), &mut obeyed);
    assert!(matches!(first, Err(Disobeyed::Gap { .. })), "the first message must be complete");
}

#[test]
fn orders_older_than_those_obeyed_are_not() {
    let mut obeyed = Obeyed { epoch: 2, index: 50 };
    let mut give = |epoch, index| {
        let message = v1::AssignmentsMessage { epoch, ..message(Kind::Complete, index, ("", "1")) };
        Orders::default().read(message, &mut obeyed).map(drop)
    };

    assert!(matches!(give(2, 49), Err(Disobeyed::Stale { .. })));
    assert!(matches!(give(1, 90), Err(Disobeyed::Stale { .. })));
    assert!(give(2, 50).is_ok());
    assert!(give(3, 1).is_ok(), "a forced new cluster counts anew");
}

#[test]
fn tasks_share_their_templates() {
    let (one, other) = (task(1, |_| {}), task(2, |_| {}));
    let mut same = other.clone();
    same.template = std::sync::Arc::clone(&one.template);

    let read = Orders::default().read(with_tasks(&[one.clone(), same]), &mut Obeyed::default());

    let tasks = read.unwrap().tasks;
    assert!(std::sync::Arc::ptr_eq(&tasks[0].template, &tasks[1].template));
    assert_eq!(tasks[0], one);
}

#[test]
fn a_task_of_a_newer_kind_is_named_and_the_others_are_read() {
    let tasks = [task(1, |_| {}), task(2, |task| task.force_update = 1), task(3, |_| {})];
    let mut message = with_tasks(&tasks);
    message.templates[1].spec = None;
    if let Some(Update::Task(task)) = &mut message.updates[2].update {
        task.desired = 9999;
    }

    let read = Orders::default().read(message, &mut Obeyed::default()).unwrap();

    let refused: Vec<TaskId> = read.unreadable.iter().map(|refused| refused.task).collect();
    assert_eq!(refused, [tasks[1].id, tasks[2].id]);
    assert_eq!(read.tasks, tasks[..1]);
}
