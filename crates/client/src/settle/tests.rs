use std::sync::Arc;

use swarm_types::object::service::UpdateStatus;
use swarm_types::object::task::{TaskStatus, Template};
use swarm_types::spec::service::ServiceSpec;
use swarm_types::{IdSource, Meta, Timestamp};

use super::*;

pub(crate) fn service(replicas: u64) -> Service {
    Service {
        id: IdSource::seeded(1).draw(),
        meta: Meta::default(),
        spec: ServiceSpec { mode: ServiceMode::Replicated { replicas }, ..ServiceSpec::default() },
        previous: None,
        endpoint: Default::default(),
        update_status: None,
        job: None,
    }
}

pub(crate) fn task(service: &Service, slot: u64, state: TaskState) -> Task {
    let template = Template {
        service: Some(service.id),
        spec_version: 0,
        service_annotations: Default::default(),
        endpoint: Default::default(),
        global: false,
        spec: service.spec.task.clone(),
    };
    Task {
        id: IdSource::system().draw(),
        meta: Meta::default(),
        template: Arc::new(template),
        slot,
        node: None,
        desired: TaskState::Running,
        desired_reason: String::new(),
        status: TaskStatus { state, ..TaskStatus::default() },
        replaces: None,
        start_after: Timestamp::default(),
        networks: Vec::new(),
        generic: Vec::new(),
        job_iteration: None,
        volumes: Vec::new(),
        ran_at: Timestamp::default(),
    }
}

fn look(service: &Service, tasks: Vec<Task>) -> Look {
    let ServiceMode::Replicated { replicas } = service.spec.mode else { unreachable!() };
    let row = ServiceRow { service: service.clone(), running: 0, desired: replicas };
    Look { row, tasks, down: BTreeSet::new() }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn it_must_stay_running_for_the_monitor_period() {
    let web = service(2);
    let all =
        look(&web, vec![task(&web, 1, TaskState::Running), task(&web, 2, TaskState::Running)]);
    let one = look(&web, vec![task(&web, 1, TaskState::Running), task(&web, 2, TaskState::Failed)]);
    let mut convergence = Convergence::default();

    let mut at = |look: &Look, now| {
        let (progress, settled) = convergence.judge(look, seconds(now));
        (progress.verify, settled)
    };
    assert_eq!(at(&one, 0), (None, None));
    assert_eq!(at(&all, 1), (Some(Verify::Waiting(6)), None));
    assert_eq!(at(&one, 3), (Some(Verify::TaskFailed), None));
    assert_eq!(at(&all, 4), (Some(Verify::Waiting(6)), None));
    assert_eq!(at(&all, 8), (Some(Verify::Waiting(2)), None));
    assert_eq!(at(&all, 9), (None, Some(Settled::Converged)));
}

#[test]
fn a_task_of_the_old_template_does_not_count() {
    let old = service(1);
    let mut new = service(1);
    new.spec.task.force_update = 1;
    let mut convergence = Convergence::default();

    let (progress, _) =
        convergence.judge(&look(&new, vec![task(&old, 1, TaskState::Running)]), seconds(0));
    assert_eq!((progress.running, progress.slots.len()), (0, 0));

    new.spec.task = old.spec.task.clone();
    new.spec.task.placement.max_replicas = 3;
    let (progress, _) =
        convergence.judge(&look(&new, vec![task(&old, 1, TaskState::Running)]), seconds(0));
    assert_eq!(progress.running, 1);
}

#[test]
fn a_task_on_its_way_shows_what_ended_the_one_before() {
    let web = service(2);
    let at = |mut task: Task, at, err: &str| {
        task.meta.created_at = Timestamp(at);
        task.status.err = err.to_owned();
        task
    };
    let tasks = vec![
        at(task(&web, 1, TaskState::Failed), 1, "long ago"),
        at(task(&web, 1, TaskState::Failed), 2, "exit 1"),
        at(task(&web, 1, TaskState::Ready), 3, ""),
        at(task(&web, 2, TaskState::Failed), 1, "exit 2"),
        at(task(&web, 2, TaskState::Running), 2, ""),
    ];
    let mut tasks = look(&web, tasks);
    for ended in tasks.tasks.iter_mut().filter(|it| it.status.state == TaskState::Failed) {
        ended.desired = TaskState::Shutdown;
    }

    let (progress, _) = Convergence::default().judge(&tasks, seconds(0));

    let errors: Vec<&str> = progress.slots.iter().map(|slot| slot.error.as_str()).collect();
    assert_eq!(errors, ["exit 1", ""]);
}

#[test]
fn what_leaves_is_waited_for() {
    let web = service(1);
    let mut surplus = task(&web, 2, TaskState::Running);
    surplus.desired = TaskState::Remove;
    let mut convergence = Convergence::default();

    let tasks = vec![task(&web, 1, TaskState::Running), surplus];
    assert_eq!(convergence.judge(&look(&web, tasks), seconds(0)).0.verify, None);
}

#[test]
fn the_managers_word_on_an_update_ends_the_wait() {
    let mut web = service(1);
    let mut status = |convergence: &mut Convergence, state| {
        let message = "why".to_owned();
        let status = UpdateStatus { state, started_at: None, completed_at: None, message };
        web.update_status = Some(status);
        convergence.judge(&look(&web, Vec::new()), seconds(0)).1
    };
    let paused = status(&mut Convergence::default(), UpdateState::Paused);
    assert_eq!(paused, Some(Settled::UpdatePaused("why".into())));
    let paused = status(&mut Convergence::default(), UpdateState::RollbackPaused);
    assert_eq!(paused, Some(Settled::RollbackPaused("why".into())));

    let mut convergence = Convergence::default();
    assert_eq!(status(&mut convergence, UpdateState::Completed), None, "of an update before");
    assert_eq!(status(&mut convergence, UpdateState::Updating), None);
    let completed = status(&mut convergence, UpdateState::Completed);
    assert_eq!(completed, Some(Settled::UpdateCompleted));
}
